# The peers that Cargo builds: on tokio, where Debian's crates are, and on tokio-util when that is asked for.

option(JOINERY_BENCH_TOKIO_UTIL "Build the peer on tokio-util, from the Rust registry" OFF)

find_program(JOINERY_CARGO cargo)

# joinery_add_rust_subject(<crate>): the program bench_<crate>, beside those of C++
function(joinery_add_rust_subject crate)
    set(target_dir ${PROJECT_BINARY_DIR}/cargo/${crate})
    set(destination ${CMAKE_RUNTIME_OUTPUT_DIRECTORY})
    if(NOT destination)
        set(destination ${CMAKE_CURRENT_BINARY_DIR})
    endif()
    # From its own directory, where its .cargo/config.toml is found.
    add_custom_target(bench_${crate} ALL
        COMMAND ${CMAKE_COMMAND} -E env CARGO_TARGET_DIR=${target_dir} ${JOINERY_CARGO} build --release --quiet
        COMMAND ${CMAKE_COMMAND} -E copy_if_different ${target_dir}/release/bench_${crate} ${destination}/
        WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR}/peers/${crate})
    joinery_add_subject_test(${crate} ${destination}/bench_${crate} current)
    joinery_add_subject_test(${crate}_multi ${destination}/bench_${crate} multi2)
endfunction()

file(GLOB joinery_debian_tokio /usr/share/cargo/registry/tokio-1.*)
if(JOINERY_CARGO AND joinery_debian_tokio)
    joinery_add_rust_subject(tokio)
else()
    message(STATUS "No cargo or no librust-tokio-dev: the benchmark goes without tokio")
endif()
if(JOINERY_BENCH_TOKIO_UTIL)
    joinery_add_rust_subject(tokio_util)
endif()

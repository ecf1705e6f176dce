# Builds and runs consumer/ in a fresh directory, with the library got by `way`.
cmake_minimum_required(VERSION 3.25)

file(REMOVE_RECURSE ${work_dir})
set(arguments -D JOINERY_WAY=${way})
if(way STREQUAL "find_package")
    execute_process(COMMAND_ERROR_IS_FATAL ANY
        COMMAND ${CMAKE_COMMAND} --install ${joinery_build} --prefix ${work_dir}/prefix
            --component joinery)
    list(APPEND arguments -D CMAKE_PREFIX_PATH=${work_dir}/prefix)
else()
    list(APPEND arguments -D JOINERY_SOURCE=${joinery_source})
endif()

execute_process(COMMAND_ERROR_IS_FATAL ANY
    COMMAND ${CMAKE_COMMAND} -S ${consumer_source} -B ${work_dir}/build -G ${generator}
        -D CMAKE_CXX_COMPILER=${compiler} ${arguments})
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND ${CMAKE_COMMAND} --build ${work_dir}/build)
execute_process(COMMAND_ERROR_IS_FATAL ANY COMMAND ${work_dir}/build/consumer)

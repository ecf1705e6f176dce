# Warnings for the targets of this project only: who uses the library chooses their own.
# Boost and GoogleTest come as imported targets, whose headers are system headers and stay silent.

if(JOINERY_DEVELOPER)
    add_compile_options(-Wall -Wextra -Wpedantic -Wconversion -Werror)
    if(NOT CMAKE_UNITY_BUILD) # there one file's local would shadow what another file has declared
        add_compile_options(-Wshadow)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        # GCC 12 loses sight of the flag in a std::optional when it optimises, and warns of values that are never read.
        add_compile_options(-Wno-maybe-uninitialized)
    endif()
endif()

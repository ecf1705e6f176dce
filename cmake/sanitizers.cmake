# JOINERY_SANITIZER instruments every target that is created after this file was included.

set(JOINERY_SANITIZER none CACHE STRING
    "none; address: Address-, Leak- and UndefinedBehaviorSanitizer; thread: ThreadSanitizer")
set_property(CACHE JOINERY_SANITIZER PROPERTY STRINGS none address thread)

set(joinery_sanitizer_options)
if(JOINERY_SANITIZER STREQUAL "address")
    list(APPEND joinery_sanitizer_options -fsanitize=address,undefined -fno-sanitize-recover=all)
elseif(JOINERY_SANITIZER STREQUAL "thread")
    list(APPEND joinery_sanitizer_options -fsanitize=thread)
elseif(NOT JOINERY_SANITIZER STREQUAL "none")
    message(FATAL_ERROR "JOINERY_SANITIZER is \"${JOINERY_SANITIZER}\": use none, address or thread")
endif()

if(joinery_sanitizer_options)
    add_compile_options(${joinery_sanitizer_options} -fno-omit-frame-pointer)
    add_link_options(${joinery_sanitizer_options})
    if(JOINERY_SANITIZER STREQUAL "thread")
        # ThreadSanitizer knows nothing of the fence in Asio's reference counts; without std::atomic Asio does without it.
        add_compile_definitions(BOOST_ASIO_DISABLE_STD_ATOMIC)
    endif()
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        if(JOINERY_SANITIZER STREQUAL "thread")
            # Asio uses std::atomic_thread_fence, of which GCC's ThreadSanitizer knows nothing.
            add_compile_options(-Wno-tsan)
        endif()
    endif()
endif()

# Installs the headers and a package configuration: find_package(joinery) then gives joinery::joinery.

include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(joinery_package_dir ${CMAKE_INSTALL_DATADIR}/cmake/joinery)

install(TARGETS joinery
    EXPORT joinery-targets
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT joinery)
install(EXPORT joinery-targets
    NAMESPACE joinery::
    DESTINATION ${joinery_package_dir}
    COMPONENT joinery)

configure_package_config_file(
    ${CMAKE_CURRENT_LIST_DIR}/joinery-config.cmake.in
    ${PROJECT_BINARY_DIR}/joinery-config.cmake
    INSTALL_DESTINATION ${joinery_package_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/joinery-config-version.cmake
    COMPATIBILITY SameMinorVersion
    ARCH_INDEPENDENT)
install(FILES
    ${PROJECT_BINARY_DIR}/joinery-config.cmake
    ${PROJECT_BINARY_DIR}/joinery-config-version.cmake
    DESTINATION ${joinery_package_dir}
    COMPONENT joinery)

# `cmake --install`: the library, its headers under include/gradus, and files for find_package(Gradus) and pkg-config.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Gradus)
install(TARGETS gradus EXPORT GradusTargets FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/gradus)
install(EXPORT GradusTargets NAMESPACE Gradus:: DESTINATION ${package_dir})
configure_package_config_file(cmake/GradusConfig.cmake.in GradusConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(GradusConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/GradusConfig.cmake ${PROJECT_BINARY_DIR}/GradusConfigVersion.cmake
        DESTINATION ${package_dir})

# What a program must link besides a static library; a shared one brings its own.
string(JOIN " " link_flags ${gradus_link_edit} ${OpenMP_CXX_FLAGS} -pthread)
if(BUILD_SHARED_LIBS)
  set(link_lines "Requires.private: zlib\nLibs: -L\${libdir} -lgradus\nLibs.private: ${link_flags}")
else()
  set(link_lines "Requires: zlib\nLibs: -L\${libdir} -lgradus ${link_flags}")
endif()
file(RELATIVE_PATH to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
configure_file(cmake/gradus.pc.in gradus.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/gradus.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# gdb looks for the script of a shared library in its auto-load folder, under the library's own path.
if(BUILD_SHARED_LIBS)
  install(FILES core/gradus_gdb.py RENAME $<TARGET_FILE_NAME:gradus>-gdb.py
          DESTINATION ${CMAKE_INSTALL_DATADIR}/gdb/auto-load${CMAKE_INSTALL_FULL_LIBDIR})
endif()
install(FILES core/gradus_gdb.py DESTINATION ${CMAKE_INSTALL_DATADIR}/gradus)

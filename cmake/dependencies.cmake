# Every dependency is the installed package or, where there is none, a pinned release.
include(FetchContent)

# Declares <target> with the headers of <package>; of a fetched release, only the folder <include> is used, and its own
# build files are not run. What follows are the arguments of find_package.
macro(gradus_headers package target repository tag include)
  FetchContent_Declare(${package} GIT_REPOSITORY ${repository} GIT_TAG ${tag} GIT_SHALLOW ON SOURCE_SUBDIR none
                       FIND_PACKAGE_ARGS ${ARGN})
  FetchContent_MakeAvailable(${package})
  if(NOT TARGET ${target})
    FetchContent_GetProperties(${package} SOURCE_DIR gradus_source_dir)
    add_library(${target} INTERFACE IMPORTED)
    target_include_directories(${target} INTERFACE ${gradus_source_dir}/${include})
  endif()
endmacro()

gradus_headers(Eigen3 Eigen3::Eigen https://gitlab.com/libeigen/eigen.git 3.4.0 . 3.4 NO_MODULE)
gradus_headers(fmt fmt::fmt-header-only https://github.com/fmtlib/fmt.git 10.2.1 include 9)
gradus_headers(nlohmann_json nlohmann_json::nlohmann_json https://github.com/nlohmann/json.git v3.11.3 include 3.11)
set_property(TARGET fmt::fmt-header-only APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS FMT_HEADER_ONLY=1)

FetchContent_Declare(ZLIB GIT_REPOSITORY https://github.com/madler/zlib.git GIT_TAG v1.3.1 GIT_SHALLOW ON
                     FIND_PACKAGE_ARGS)
FetchContent_MakeAvailable(ZLIB)
if(NOT TARGET ZLIB::ZLIB)
  set_target_properties(zlibstatic PROPERTIES POSITION_INDEPENDENT_CODE ON)
  target_include_directories(zlibstatic SYSTEM INTERFACE ${zlib_SOURCE_DIR} ${zlib_BINARY_DIR})
  add_library(ZLIB::ZLIB ALIAS zlibstatic)
endif()

find_package(OpenMP REQUIRED COMPONENTS CXX)
find_package(Threads REQUIRED)

# For editing lines at a terminal; without it they are read as they come.
find_path(GRADUS_LIBEDIT_INCLUDE histedit.h)
find_library(GRADUS_LIBEDIT edit)

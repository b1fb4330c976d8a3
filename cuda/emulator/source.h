#pragma once
// Names for addresses of code, as addr2line of binutils knows them.

#include <string>
#include <vector>

namespace gradus::emulator {

/// "kernels.cu" of "/home/me/kernels.cu"
std::string file_name(const std::string& path);
/// "transpose<0>": a function's name without its parameters and the library's own namespaces.
std::string function_name(const void* function);
/// "kernels.cu:12": the line that was compiled to the call before `return_address`, outside the emulator's own headers.
/// If it was inlined from another file, "view.h:56 in kernels.cu:12".
std::string source_line(const void* return_address);
/// Look many addresses up at once, which is much faster than one by one.
void look_up_functions(const std::vector<const void*>& functions);
void look_up_lines(const std::vector<const void*>& return_addresses);

}  // namespace gradus::emulator

# Fails unless the README shows examples/first.cpp as it is.
file(READ ${ROOT}/README.md readme)
file(READ ${ROOT}/examples/first.cpp program)
string(FIND "${readme}" "```cpp\n${program}```\n" found)
if(found EQUAL -1)
  message(FATAL_ERROR "README.md does not show examples/first.cpp as it is")
endif()

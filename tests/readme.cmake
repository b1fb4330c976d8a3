# Fails unless the README shows programs of examples/ as they are.
file(READ ${ROOT}/README.md readme)
foreach(name first explain)
  file(READ ${ROOT}/examples/${name}.cpp program)
  string(FIND "${readme}" "```cpp\n${program}```\n" found)
  if(found EQUAL -1)
    message(FATAL_ERROR "README.md does not show examples/${name}.cpp as it is")
  endif()
endforeach()

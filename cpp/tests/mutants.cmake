# Kernels that are tighter than the proof of the bound allows, most of them by one unit in the last place. test_bound
# has to find every one, so these tests pass where it reports failed checks. The code that is changed must be there.

set(down "_mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(bound), _mm512_set1_epi32(1)))")

function(add_mutant name source)  # then pairs: what is changed, and what it becomes
  set(file ${PROJECT_SOURCE_DIR}/cpp/src/${source})
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
  file(READ ${file} text)
  math(EXPR last "${ARGC} - 1")
  foreach(i RANGE 2 ${last} 2)
    math(EXPR j "${i} + 1")
    string(FIND "${text}" "${ARGV${i}}" place)
    if(place EQUAL -1)
      message(FATAL_ERROR "mutant ${name}: ${source} has no longer ${ARGV${i}}")
    endif()
    string(REPLACE "${ARGV${i}}" "${ARGV${j}}" text "${text}")
  endforeach()
  file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${name}/${source} CONTENT "${text}")
  add_executable(mutant_${name} test_bound.cpp ${CMAKE_CURRENT_BINARY_DIR}/${name}/${source})
  target_link_libraries(mutant_${name} PRIVATE fastautorec_core)
  target_compile_options(mutant_${name} PRIVATE -O2)
  add_test(NAME mutant_${name} COMMAND mutant_${name})
  set_tests_properties(mutant_${name} PROPERTIES TIMEOUT 120 PASS_REGULAR_EXPRESSION ", [1-9][0-9]* failed checks")
endfunction()

add_mutant(bound_one_ulp_lower bound_products.cpp
  "+ kTiny;" "+ kTiny, of[place + lane] = __builtin_nextafterf(of[place + lane], -__builtin_inff());"
  "place, bound);" "place, ${down});")
add_mutant(floor_one_ulp_higher scan_items.cpp
  "selector.find(worst())" "selector.find(__builtin_nextafterf(worst(), __builtin_inff()))")
add_mutant(longest_one_ulp_shorter item_codes.cpp
  "length * beta + kTiny >= floor" "__builtin_nextafterf(length * beta + kTiny, 0.0f) >= floor")
add_mutant(bound_without_its_own_roundings item_codes.cpp "kMoreRoundings = 32" "kMoreRoundings = 0")
add_mutant(sums_without_roundings item_codes.cpp "(norm + own.rest_norm) * slack" "0.0")
add_mutant(rests_forgotten item_codes.cpp "static_cast<float>(row.rest_norm * kUp)" "0.0f")

#pragma once
// Text in UTF-8.

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

namespace gradus {

/// A character in a text, and how many bytes it takes there. What is no character takes one.
struct Character {
  bool valid = false;
  size_t bytes = 1;
  char32_t code = 0;
};

/// That at the beginning of a text, which is not empty. A lead byte 0xxxxxxx, 110xxxxx, 1110xxxx or 11110xxx says how
/// many bytes there are; all others are 10xxxxxx. Longer forms than necessary and surrogates are no characters.
inline Character first_character(std::string_view text) {
  const auto lead = uint8_t(text[0]);
  const size_t bytes = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
  if (bytes == 0 || bytes > text.size()) return {};
  char32_t code = bytes == 1 ? lead : lead & (0x7F >> bytes);
  for (size_t i = 1; i < bytes; ++i) {
    if ((text[i] & 0xC0) != 0x80) return {};
    code = code << 6 | (text[i] & 0x3F);
  }
  const bool valid =
      bytes < 3 || (bytes == 3 ? code >= 0x800 && code >> 11 != 0x1B : code >= 0x10000 && code < 0x110000);
  return valid ? Character{true, bytes, code} : Character();
}

/// Adds a character to a text.
inline void append_character(std::string& text, char32_t code) {
  const int bytes = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
  text += bytes == 1 ? char(code) : char(0xF00 >> bytes | code >> 6 * (bytes - 1));
  for (int i = bytes - 2; i >= 0; --i) text += char(0x80 | (code >> 6 * i & 0x3F));
}

/// How many characters there are: about as many columns as the text is wide.
inline size_t count_characters(std::string_view text) {
  return size_t(std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace gradus

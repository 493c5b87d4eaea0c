// What programs print of an error.
#pragma once

#include <exception>
#include <string>

namespace gmc {

// Its text, with `?` for control characters other than line breaks: names out of files are part of such texts, and a
// terminal would obey them.
inline std::string printed(const std::exception& error) {
  std::string text = error.what();
  for (char& c : text)
    if ((c >= 0 && c < ' ' && c != '\n') || c == 127) c = '?';
  return text;
}

}  // namespace gmc

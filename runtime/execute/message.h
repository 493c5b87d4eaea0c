// How functions that may not throw report: a status and a text in a buffer of the caller.
#pragma once

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

namespace gmc::execute {

enum class Status : int {
  ok = 0,
  invalid = 1,  // a package, name, pointer or value that cannot be right
  memory = 2,   // the system gives no memory or threads
  library = 3,  // a library call failed
  damaged = 4,  // guard mode: a kernel wrote where it must not
};

struct Message {
  char text[512] = "";
};

// Writes the text, if there is somewhere to write it, and returns `status`.
[[gnu::format(printf, 3, 4)]] inline Status report(Message* message, Status status, const char* format, ...) {
  if (!message) return status;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message->text, sizeof message->text, format, arguments);
  va_end(arguments);
  return status;
}

}  // namespace gmc::execute

// Object code into this process, never writable and executable at once.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace gmc::package {

class Jit {
public:
  Jit();
  ~Jit();
  Jit(Jit&&) noexcept;
  Jit& operator=(Jit&&) noexcept;

  // Adds one object file; throws `Error` if it cannot be linked.
  void add(const std::string& object, const std::string& name);
  // Address of a function; throws `Error` if no added object defines it.
  void* lookup(const std::string& symbol);

private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace gmc::package

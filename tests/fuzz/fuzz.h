// A fuzz target is one NAME_fuzz.cpp that defines seeds() and read(); fuzz.cpp makes a libFuzzer program of it.
#pragma once

#include "runtime/base/tensor.h"
#include "runtime/files/reader.h"

#include <string>
#include <string_view>
#include <vector>

namespace gmc::fuzz {

using Seed = std::vector<std::byte>;

// Small valid inputs, as gmc writes them: what mutation starts from.
std::vector<Seed> seeds();

// Reads an input that may be anything. Throws `Error` where it is refused; what else is thrown is a finding.
void read(files::Bytes bytes);

// A finding, unless `holds`: prints `what` and ends the process.
void require(bool holds, const std::string& what);

// Calls `parse`, and requires of what it throws that it names a place and holds nothing that a terminal would obey.
// Whether it threw nothing.
template <class Parse>
bool reads(Parse parse);
void require_place(std::string_view error);

// As many bytes as dtype and shape demand, and every bool 0 or 1.
void require_whole(const HostTensor&);
bool equal(const HostTensor&, const HostTensor&);

Seed seed_of(std::string_view text);
std::string_view text_of(files::Bytes bytes);
// `count` elements, none of which is like its neighbour.
HostTensor filled(DType dtype, Shape shape);

template <class Parse>
bool reads(Parse parse) {
  try {
    parse();
  } catch (const Error& error) {
    require_place(error.what());
    return false;
  }
  return true;
}

}  // namespace gmc::fuzz

// Whether a new value may be written over an old one.
#pragma once

#include "compiler/lower/lower.h"

namespace gmc::package {

// Whether the step reads each element of `old` only where it writes that of `result`; a loop, if `old` is where the
// carry begins that ends as `result`, and nothing else.
bool reads_where_it_writes(const graph::Graph&, const lower::Step&, graph::Value old, graph::Value result);

}  // namespace gmc::package

// Which sets of ops can be one region of a kernel. The rules, with the ids that reports and plans use:
//
// L1   convex: no path leaves the kernel and comes back.
//
// L2   aligned: one iteration space [rows.., columns]; inside the region a value is read at the point where it is
//      computed.
//
// L3   a reduction over the columns may be followed by anything of the same row.
//
// L4   a reduction over all rows is combined after the last tile, so nothing in the same region may read it; other
//      reductions stand alone after a transpose.
//
// L5   what is stored varies along every row dimension, so that each element is written once.
//
// L6   regions that share a launch do not depend on each other and hold no product.
//
// L7   one product (matmul) a region, with elementwise ops after it over its result; nothing in the region feeds it.
//
// L9   at most 64 buffers and 256 ops a region.
//
// L10  every op is pure: draws are functions of their key, so any op but a product may be evaluated twice.
//
// L11  a value is one value: kernels never contract or reassociate across ops, so an op evaluated twice gives the same
//      bits.
#pragma once

#include "compiler/fusion/view.h"

#include <string>
#include <variant>
#include <vector>

namespace gmc::fusion {

inline constexpr size_t max_buffers = 64, max_region_ops = 256;

// Why not: the rule and the ops or sizes that break it.
struct Refusal {
  std::string rule;
  std::string witness;
};

// The iteration space of a region, and where each op's index space lies in it.
struct Binding {
  Shape domain;  // the last axis is the columns
  std::vector<std::vector<int>>
      axes;          // per op of the region: dimension of its index space -> axis, -1 where the extent is 1
  int product = -1;  // position of the matmul in the region, if any
};

// `ops`: ascending indices into view.ops(). `stored`: position by position, whether the result is needed outside the
// region.
std::variant<Binding, Refusal> bind_region(const View&, const std::vector<int>& ops, const std::vector<bool>& stored);

// The ops of a region whose results must be stored: they leave the entry or are read by an op outside `ops`. Position
// by position.
std::vector<bool> stored_ops(const View&, const std::vector<int>& ops);

// What a reduction of a bound region is to its kernel.
enum class ReductionKind {
  row,
  rows,
  all
};  // over the columns; over all rows (per column, or of one value a row); over everything
ReductionKind reduction_kind(const View&, const Binding&, const std::vector<int>& ops, size_t position);

// The axes that the result of an op varies along, in order of its dimensions (-1 where the extent is 1).
std::vector<int> result_axes(const View&, int op, const std::vector<int>& index_axes);

}  // namespace gmc::fusion

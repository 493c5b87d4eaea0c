// What code is generated for and shared by: the body of a region, apart from the kernel it comes from and from its
// numbers.
#pragma once

#include "compiler/codegen/compile_kernels.h"
#include "compiler/kernel/kernel.h"

#include <vector>

namespace gmc::codegen {

// What code reads instead of knowing it is a table of numbers, the first of its arguments. That of a region without
// product begins with these.
enum class SizeSlot : uint8_t {
  rows,     // of the whole region
  columns,  // likewise
  tile_rows,
  tile_columns,
  column_blocks,  // tiles side by side
  saved_bytes,    // scratch memory of one value that is kept for a row
  count
};

struct Part {
  // With this region alone, its product left out. Its first parameter is the table of numbers.
  kernel::Kernel kernel;
  // Whether its numbers are those of the code. Otherwise one that is 1 + i stands for entry i of the table, behind the
  // sizes: bases, strides along rows, extents of guards; the `stream` of a draw, and of a constant that is read. 0 is
  // known, and so are strides along columns. Of row extents no more is left than whether they are 0, 1 or more; entry
  // `axis` - 1 is that of an axis.
  bool knows_numbers = false;
  bool wide_guards = false;         // whether any is to be computed in 64 bits
  std::vector<Argument> arguments;  // its parameters, in the order in which the body names them
  int64_t tiles = 0;                // of a region without product
  int64_t scratch_bytes = 0;        // likewise
};

// Regions that differ in numbers only give the same kernel: in their parameters and where in them they read and write,
// in how many rows and columns there are and how they are cut. It stands for them with sizes of their kind: a single
// row or several; whole vectors of columns or not; all columns in a tile or some. What follows a product is told its
// outputs, so no number of columns but 1 matters. Rows of few columns are short of time: their code knows all numbers
// but that of the outermost rows.
Part part_of(const kernel::Kernel&, const kernel::Region&, const Target&);

// Whether the code of a region without product is for this number of columns only: no more than a vector, or few with a
// rest, whose mask and guards are then constants.
bool knows_columns(int64_t columns, const Target&);

}  // namespace gmc::codegen

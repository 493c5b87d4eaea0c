// What code is generated for and shared by: the body of a region, apart from the kernel it comes from and from its
// sizes.
#pragma once

#include "compiler/codegen/compile_kernels.h"
#include "compiler/kernel/kernel.h"

#include <vector>

namespace gmc::codegen {

// What the code of a region without product reads instead of knowing it: the first of its arguments.
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
  kernel::Kernel kernel;            // with this region alone, its product left out
  std::vector<Argument> arguments;  // its parameters, in the order in which the body names them
  int64_t tiles = 0;                // of a region without product
  int64_t scratch_bytes = 0;        // likewise
};

// Regions that differ in the numbers of their parameters, or in nothing but how many rows and columns there are and how
// they are cut, give the same kernel. It stands for them with sizes of their kind: a single row or several; whole
// vectors of columns or not; all columns in a tile or some. What follows a product is told its outputs, so no number of
// columns but 1 matters.
Part part_of(const kernel::Kernel&, const kernel::Region&, const Target&);

// Whether the code of a region without product is for this number of columns only: no more than a vector, or few with a
// rest, whose mask and guards are then constants.
bool knows_columns(int64_t columns, const Target&);

// Whether the condition can be computed in 32 bits in a region of these extents. All of them can where a kernel stands
// for other sizes.
bool fits_32_bits(const kernel::Guard&, const Shape& extents, const Target&);

}  // namespace gmc::codegen

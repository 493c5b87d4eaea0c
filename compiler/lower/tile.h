// Schedules of regions: which axes are walked as one, and how a region is cut into tiles. Both depend on shapes only.
#pragma once

#include "compiler/kernel/kernel.h"

namespace gmc::lower {

// Merges neighbouring axes where every access continues from one into the other; the columns only where nothing
// reduces.
void collapse_axes(kernel::Region&);
// Makes another axis the columns where the last one is too short for vectors and nothing reduces: that along which
// memory is walked in the shortest steps. Whether it did.
bool choose_columns(kernel::Region&);
// Where that left an axis of two whose results lie next to each other, those of the columns two apart: takes both at
// once, so that whole vectors of pairs are stored.
void pair_up(kernel::Region&);
// Merges the batch axes and the rows of a product in the same way, where both its operands continue as well.
void collapse_batches(kernel::Region&);
// Sets tile_rows and tile_columns: tiles of some tens of microseconds, at most 32 blocks of rows where something is
// folded along them.
void choose_tiles(kernel::Region&);

}  // namespace gmc::lower

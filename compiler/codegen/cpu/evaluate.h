// Evaluates the body of a part at one vector of points.
#pragma once

#include "compiler/codegen/cpu/number_table.h"
#include "compiler/codegen/llvm_door.h"
#include "compiler/codegen/part.h"

#include <map>
#include <utility>
#include <vector>

namespace gmc::codegen {

// Where code is being emitted: one row and `lanes` columns of it.
struct Point {
  llvm::Value* row = nullptr;      // i64
  llvm::Value* column = nullptr;   // i64, of the first lane
  llvm::Value* mask = nullptr;     // valid lanes, nullptr: all
  int64_t valid = 0;               // how many they are, the first ones; 0: not known
  llvm::Value* product = nullptr;  // the accumulated element, in a region with a product
  llvm::Value* ahead = nullptr;    // i64: the same columns that many rows on come soon, and are fetched early
};

// Extents of the row axes of a part but the first, whose place is empty.
std::vector<llvm::Value*> row_extents(llvm::IRBuilder<>& entry, const Part&, llvm::Value* numbers);

class Evaluator {
public:
  // Reads the table of numbers, which begin at `numbers`, the addresses of the part's parameters and the keys of its
  // draws with `entry`, which must stand where it dominates all that follows.
  Evaluator(llvm::IRBuilder<>& builder, llvm::IRBuilder<>& entry, const Target&, const Part&, llvm::Value* buffers,
            llvm::Value* numbers, llvm::Value* run);

  // Values that stay: of the tile (scalar span) or of the row, whose indices along the row axes these are. Forgets what
  // was kept for the last row.
  void begin_row(llvm::Value* row, std::vector<llvm::Value*> indices);
  void keep(int instruction, llvm::Value* value) { kept_[instruction] = value; }
  void forget(int instruction) { kept_.erase(instruction); }
  // Forgets what was evaluated at the last point, except what is kept.
  void begin_point(const Point&);
  // The value of an instruction at the point, as a vector of `lanes` elements of its register_type().
  llvm::Value* value(int instruction);
  // Performs a store at the point: full vectors under the mask, one element for a value that does not vary along the
  // columns.
  void store(int instruction);

  llvm::Value* parameter(int index) const { return parameters_.at(index); }  // its address
  // Lanes where the masks hold, zero elsewhere. A register at a time: of a wider load LLVM's x86 backend (19) may read
  // a part that is masked out as a whole, which lies past the end.
  llvm::Value* load_masked(llvm::Type* element, llvm::Value* address, llvm::Value* mask, llvm::Value* also = nullptr);
  llvm::Value* splat(llvm::Value* scalar);
  llvm::Value* index(int64_t value) { return builder_.getInt64(static_cast<uint64_t>(value)); }
  llvm::FixedVectorType* vector_type(llvm::Type* element) const {
    return llvm::FixedVectorType::get(element, static_cast<unsigned>(target_.lanes));
  }
  // The lane numbers that are below `count` (i64), as a mask.
  llvm::Value* first_lanes(llvm::Value* count);
  kernel::Span span(int instruction) const { return spans_[static_cast<size_t>(instruction)]; }

private:
  llvm::Value* offset(const kernel::Access&, bool with_column);
  bool along_columns(const kernel::Access&) const;
  llvm::Value* number(const kernel::Access&, llvm::Type*);
  llvm::Value* row_guard(const kernel::Instruction&);
  llvm::Value* guarded(const kernel::Instruction&);
  llvm::Value* outside(const kernel::Instruction&);
  llvm::Value* to_register(llvm::Value* loaded, DType);
  llvm::Value* load(const kernel::Instruction&);
  void fetch_ahead(const kernel::Access&, llvm::Type* element, llvm::Value* address);
  llvm::Value* load_apart(llvm::FixedVectorType*, llvm::Value* address, llvm::Align);
  void store_apart(llvm::Value*, llvm::Value* address, llvm::Align);
  void store_first(llvm::Value*, int64_t count, llvm::Value* address, llvm::Align);
  void store_next(llvm::Value*, int64_t a_column, llvm::Value* address, llvm::Align);
  llvm::Value* gather(const kernel::Instruction&, kernel::Span);
  llvm::Value* index_value(const kernel::Instruction&);
  llvm::Value* draw(const kernel::Instruction&, kernel::Span);
  llvm::Value* compute(const kernel::Instruction&);
  llvm::Value* lane_offsets(int64_t stride);
  llvm::Value* constant(const kernel::Instruction&);
  // What a number of the part stands for, as i64.
  llvm::Value* of_part(int64_t number);

  llvm::IRBuilder<>& builder_;
  const Target& target_;
  const Part& part_;
  const kernel::Region& region_;
  NumberTable numbers_;
  std::vector<kernel::Span> spans_;
  std::map<int, llvm::Value*> kept_, seen_, parameters_;
  std::map<uint64_t, llvm::Value*> keys_;
  llvm::Value* loop_ = nullptr;            // the flattened index of the loops around
  std::vector<llvm::Value*> row_indices_;  // of the current row, per row axis
  std::map<const kernel::Instruction*, llvm::Value*> row_guards_;
  Point point_;
};

}  // namespace gmc::codegen

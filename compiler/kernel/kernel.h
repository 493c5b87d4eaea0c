// The kernel IR: one kernel as phases of regions, for every device.
//
// A kernel is a sequence of phases with a barrier between two of them; a phase is a table of regions that are
// independent of each other; a region is an iteration space [rows.., columns] cut into tiles, with a straight-line body
// that is evaluated at every point of it. A value of the body varies along the whole space, along the rows only, or not
// at all; what does not vary is evaluated once (a row, a tile). `row` combines a value along the columns of each row
// and may be followed by anything of the same row; `fold` combines along the rows of a tile and leaves a partial result
// per tile. How tiles become threads and columns become lanes is the code generator's.
//
// Arithmetic is that of the instruction's dtype, f32 and f64 after IEEE 754, integers wrapping, each instruction
// rounded once: nothing is contracted or reassociated across instructions, so evaluating an instruction twice gives the
// same bits. At a point everything is read before anything is stored, so a buffer may be overwritten by a region that
// reads each of its elements only at the point that stores it. The order of `row` is fixed by the vector width and the
// number of columns; that of `fold` by the tiles: by shapes and target, never by the number of threads.
#pragma once

#include "runtime/base/shape.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gmc::kernel {

// A buffer that the kernel is given. `temporary`: memory of this launch only, shared by its phases.
struct Parameter {
  enum class Mode { in, out, temporary };
  Mode mode = Mode::in;
  DType dtype = DType::f32;
  int64_t elements = 0;
  std::string name;  // for people
};

// Element base + sum strides[axis] * index[axis] of a parameter; the last axis is the columns.
struct Access {
  int64_t base = 0;
  Shape strides;
  bool operator==(const Access&) const = default;
};

// A condition on a point: 0 <= base + sum strides[axis] * index[axis] < extent.
struct Guard {
  Access at;
  int64_t extent = 0;
  bool operator==(const Guard&) const = default;
};

// An index that is data: operand k of a gather, clamped to [0, extent), adds index * stride elements.
struct Subscript {
  int64_t extent = 0, stride = 0;
  bool operator==(const Subscript&) const = default;
};

struct Instruction {
  enum class Kind {
    load,      // parameter[access]
    gather,    // parameter[access + what the subscripts add]
    index,     // the number that access gives, in this dtype
    constant,  // value
    compute,   // function(operands): one of the scalar functions
    random,    // word access of a draw: function is its distribution
    product,   // the accumulated element of the region's product
    row,       // function = monoid, over the columns
    store,     // parameter[access] := operand; of two operands, whose columns are 2 apart: the second next to it
    fold,      // parameter[tile, column] := operand combined over the rows of the tile; function = monoid; access:
               // the columns' stride is 1 where each column has a result of its own, all other strides are 0
  };
  Kind kind = Kind::constant;
  std::string function = {};
  std::vector<int> operands = {};  // ids of instructions above
  int parameter = -1;
  Access access = {};
  std::vector<Guard> guards = {};          // load, index, constant: the value where all hold, elsewhere `outside`
  std::vector<Subscript> subscripts = {};  // of a gather, one an operand
  double value = 0, outside = 0;
  uint64_t stream = 0;       // random
  DType dtype = DType::f32;  // of the value, or of what is stored
};

// Whether the instruction has an access over the axes.
bool has_access(const Instruction&);

// Axes that make up one dimension, the last one fastest: index i is stride * index along each.
struct Axes {
  Shape extents, strides;
  bool operator==(const Axes&) const = default;
};

// C[batch.., m, n] = sum over k of A[batch.., m, k] B[batch.., k, n]: parameters, and whether a matrix is stored
// transposed with the given leading dimension. `at_a` and `at_b` say where the first element of each matrix lies; their
// strides are along the batch axes.
struct Product {
  int a = -1, b = -1, packed = -1;
  int64_t k = 0, lda = 0, ldb = 0;
  bool transpose_a = false, transpose_b = false;
  Access at_a = {}, at_b = {};
  // How B's rows (k) and columns (n) lie in memory where a leading dimension does not say it: windows of an image. Then
  // `ldb` and `transpose_b` mean nothing.
  struct Unfolded {
    Axes k, n;
  };
  std::optional<Unfolded> unfolded = {};
};

struct Region {
  Shape extents;                            // rows.., columns
  int64_t tile_rows = 1, tile_columns = 1;  // tiles are numbered row block by row block
  std::optional<Product> product;           // extents are then [batch.., m, n] and tiles are the generator's choice
  std::vector<Instruction> body;
};

struct Phase {
  std::vector<Region> regions;
};

struct Kernel {
  std::string name;  // for people: `k3.fc1/matmul`
  std::vector<Parameter> parameters;
  std::vector<Phase> phases;
};

int64_t rows_of(const Region&);
int64_t columns_of(const Region&);
// Of a region without product. An empty space has one tile: a reduction over nothing still writes its identity.
int64_t tiles_of(const Region&);
// Which axes each instruction's value varies along.
enum class Span : uint8_t { scalar, row, full };
std::vector<Span> spans_of(const Region&);

// Scalar functions that `compute` knows. Halves are cast, selected and copied only.
struct Function {
  std::string_view name;
  int arity;
  int cost;  // relative to an addition
};
const Function* function_named(std::string_view);

// Text form, and back. verify() throws `Error` naming kernel, instruction and rule.
std::string print(const Kernel&);
std::string print(const Region&);
Kernel parse(std::string_view);
void verify(const Kernel&);

}  // namespace gmc::kernel

#include "compiler/codegen/cpu/emit.h"

#include "compiler/codegen/cpu/evaluate.h"
#include "compiler/codegen/cpu/gemm_parts.h"
#include "compiler/codegen/cpu/region.h"
#include "compiler/codegen/part.h"
#include "runtime/execute/random.h"

#include <fmt/format.h>

#include <algorithm>

namespace gmc::codegen {
namespace {

GemmShape shape_of(const kernel::Region& region, const Target& target) {
  const kernel::Product& p = *region.product;
  const size_t axes = region.extents.size() - 2;
  GemmShape s{region.extents[axes], region.extents[axes + 1], p.k, p.transpose_a, p.transpose_b, p.lda, p.ldb};
  for (size_t d = 0; d < axes; ++d) s.batch.push_back({region.extents[d], p.at_a.strides[d], p.at_b.strides[d]});
  s.base_a = p.at_a.base;
  s.base_b = p.at_b.base;
  if (p.unfolded) {
    s.unfolded.emplace();
    for (auto [from, to] : {std::pair{&p.unfolded->k, &s.unfolded->k}, std::pair{&p.unfolded->n, &s.unfolded->n}})
      for (size_t i = 0; i < from->extents.size(); ++i) to->push_back({from->extents[i], from->strides[i]});
  }
  return fold_images(merge_batches(std::move(s)), target);
}

// A symbol that says what its text says, and contains no text of the user's. Symbols are part of artifacts, which are
// the same whatever standard library gmc was built with.
std::string name_of(const std::string& identity) {
  return fmt::format("gmc_{:016x}{:08x}", execute::stream_of(identity.c_str()),
                     execute::stream_of(("again " + identity).c_str()) & 0xffffffffu);
}

// All that the code of a part depends on, besides the target.
std::string identity_of(const Part& part) {
  std::string text = kernel::print(part.kernel.phases[0].regions[0]);
  for (size_t i = 0; i < part.kernel.parameters.size(); ++i)
    if (part.kernel.parameters[i].elements == 0) text += fmt::format("empty {}\n", i);
  if (part.wide_guards) text += "wide guards\n";
  const std::vector<kernel::Instruction>& body = part.kernel.phases[0].regions[0].body;
  for (size_t i = 0; i < body.size(); ++i)
    if (body[i].kind == kernel::Instruction::Kind::constant && body[i].stream)
      text += fmt::format("%{} is number {}\n", i, body[i].stream);
  return text;
}

RegionCode code_of_loops(const kernel::Kernel& kernel, const kernel::Region& region, const Target& target) {
  Part part = part_of(kernel, region, target);
  const std::string identity = identity_of(part), symbol = name_of(identity);
  RegionCode out;
  out.code.functions.push_back({symbol, part.tiles, std::move(part.arguments)});
  out.code.scratch_bytes = part.scratch_bytes;
  out.leaves.push_back({symbol, identity, [part = std::move(part), symbol, target](llvm::Module& module) {
                          emit_region(module, part, symbol, target);
                        }});
  return out;
}

void emit_epilogue(llvm::Module& module, const std::string& symbol, const Part& part, const GemmEpilogueForm& form,
                   const Target& target) {
  const kernel::Region& region = part.kernel.phases[0].regions[0];
  const auto extents = [&](llvm::IRBuilder<>& entry, llvm::Value* buffers) {
    return row_extents(entry, part, emit_buffer(entry, buffers, 0));
  };
  emit_gemm_epilogue(module, symbol, form, target, extents, [&](const GemmEpilogueArgs& args) {
    // Numbers and addresses of buffers are loaded in the entry block, once for all outputs.
    llvm::Value* numbers = emit_buffer(args.entry, args.buffers, 0);
    Evaluator at_output(args.builder, args.entry, target, part, args.buffers, numbers, args.run);
    at_output.begin_row(args.row, args.indices);
    at_output.begin_point({args.row, args.column, args.mask, 0, args.acc, args.ahead});
    using Kind = kernel::Instruction::Kind;
    for (const kernel::Instruction& in : region.body)
      if (in.kind == Kind::store) at_output.value(in.operands[0]);
    for (size_t i = 0; i < region.body.size(); ++i)
      if (region.body[i].kind == Kind::store) at_output.store(static_cast<int>(i));
  });
}

// The code of what follows a product at each of its outputs.
Leaf epilogue_of(Part part, const GemmEpilogueForm& form, const Target& target) {
  const std::string identity = fmt::format("epilogue{}{}{}\n{}", form.transposed ? " transposed" : "",
                                           form.tail ? " tail" : "", form.images ? " images" : "", identity_of(part));
  const std::string symbol = name_of(identity);
  return {symbol, identity, [part = std::move(part), symbol, form, target](llvm::Module& module) {
            emit_epilogue(module, symbol, part, form, target);
          }};
}

void append(std::vector<Argument>& to, std::vector<Argument> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

RegionCode code_of_product(const kernel::Kernel& kernel, const kernel::Region& region, const Target& target) {
  const GemmShape shape = shape_of(region, target);
  const GemmTiling tiling = choose_gemm_tiling(shape, target);
  const kernel::Product& product = *region.product;
  RegionCode out;
  out.code.scratch_bytes = tiling.scratch_bytes;
  GemmOperands operands;
  std::vector<Argument> arguments;
  const auto give = [&](int parameter) {
    arguments.push_back({parameter, {}, {}});
    return static_cast<int>(arguments.size()) - 1;
  };
  const auto call = [&](const char* routine, int64_t tiles, GemmCall with) {
    arguments[0] = {-1, std::move(with.numbers), std::move(with.functions)};
    out.code.functions.push_back({routine, tiles, std::exchange(arguments, {})});
    std::move(with.leaves.begin(), with.leaves.end(), std::back_inserter(out.leaves));
  };
  if (tiling.pack_tiles > 0) {
    arguments.emplace_back();  // the numbers
    operands = {give(product.a), give(product.b), give(product.packed)};
    call("gmc_pack", tiling.pack_tiles, gemm_packing(shape, tiling, target, operands));
  }
  arguments.emplace_back();  // the numbers
  operands = {give(product.a), give(product.b)};
  if (tiling.pack_tiles > 0) operands.packed = give(product.packed);
  operands.epilogue = static_cast<int>(arguments.size());
  Part part = part_of(kernel, region, target);
  append(arguments, std::move(part.arguments));
  Leaf epilogue = epilogue_of(std::move(part), epilogue_form(shape, tiling, target), target);
  call("gmc_product", tiling.compute_tiles, gemm_product(shape, tiling, target, operands, epilogue.symbol));
  out.leaves.push_back(std::move(epilogue));
  return out;
}

}  // namespace

int prepare_products(kernel::Kernel& kernel, const Target& target) {
  int added = 0;
  for (kernel::Phase& phase : kernel.phases)
    for (kernel::Region& region : phase.regions) {
      if (!region.product) continue;
      const GemmTiling tiling = choose_gemm_tiling(shape_of(region, target), target);
      if (tiling.packed_bytes == 0) continue;
      region.product->packed = static_cast<int>(kernel.parameters.size());
      kernel.parameters.push_back(
          {kernel::Parameter::Mode::temporary, DType::f32, tiling.packed_bytes / 4, "packed operand"});
      ++added;
    }
  return added;
}

RegionCode code_of(const kernel::Kernel& kernel, const kernel::Region& region, const Target& target) {
  return region.product ? code_of_product(kernel, region, target) : code_of_loops(kernel, region, target);
}

TileFunction side_by_side(const std::vector<RegionCode>& regions) {
  TileFunction out{"gmc_side_by_side", 0, {{}}};
  Argument table;
  table.numbers.push_back(static_cast<int64_t>(regions.size()));
  for (const RegionCode& region : regions) {
    const TileFunction& f = region.code.functions.at(0);
    table.functions.emplace_back(table.numbers.size(), f.symbol);
    table.numbers.insert(table.numbers.end(), {-1, f.tiles, static_cast<int64_t>(f.arguments.size())});
    out.tiles += f.tiles;
    append(out.arguments, f.arguments);
  }
  out.arguments[0] = std::move(table);
  return out;
}

}  // namespace gmc::codegen

// bench_gemm: the generated matrix product against this core's peak and, where it was found, single-threaded oneDNN.
#include "compiler/codegen/peak.h"
#include "tools/bench/product_alone.h"

#include <CLI/CLI.hpp>
#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <time.h>
#include <vector>

#ifdef GMC_BENCH_ONEDNN
#include <dnnl.hpp>
#endif

namespace {

using namespace gmc;
using namespace gmc::codegen;

struct Matrices {
  const char* name;
  int64_t m, n, k;
  bool transpose_a, transpose_b;
  int times;  // in the weighted total; 0: not part of it
};
struct Case {
  std::string name;
  GemmShape shape;
  int times = 0;
  double work() const { return 2.0 * static_cast<double>(batches_of(shape) * shape.m * shape.n * shape.k); }
};

// The products of one training step of the VAE (batch 128, 784-400-20), of sampling, and of a larger one.
const std::vector<Matrices> matrices{
    {"fc1", 128, 400, 784, false, true, 1},          {"fc2", 128, 20, 400, false, true, 2},
    {"fc3", 128, 400, 20, false, true, 1},           {"fc4", 128, 784, 400, false, true, 1},
    {"dW4", 784, 400, 128, true, false, 1},          {"dh3", 128, 400, 784, false, false, 1},
    {"dW3", 400, 20, 128, true, false, 1},           {"dz", 128, 20, 400, false, false, 1},
    {"dW2", 20, 400, 128, true, false, 2},           {"dh1", 128, 400, 20, false, false, 2},
    {"dW1", 400, 784, 128, true, false, 1},          {"sample3", 64, 400, 20, false, true, 0},
    {"sample4", 64, 784, 400, false, true, 0},       {"base1", 1024, 1024, 784, false, true, 0},
    {"base2", 1024, 64, 1024, false, true, 0},       {"base3", 1024, 1024, 64, false, true, 0},
    {"base4", 1024, 784, 1024, false, true, 0},      {"base dW4", 784, 1024, 1024, true, false, 0},
    {"linear", 1, 784, 400, false, true, 0},         {"linear T", 1, 784, 400, false, false, 0},
    {"scores", 128, 1, 400, false, true, 0},         {"classes", 64, 10, 128, false, true, 0},
    {"deep", 256, 256, 4096, false, true, 0},        {"base dW1", 1024, 784, 1024, true, false, 0},
    {"square dW", 1024, 1024, 1024, true, false, 0}, {"base dh3", 1024, 1024, 784, false, false, 0},
};

GemmShape batch(GemmShape s, std::vector<GemmBatch> axes) {
  s.batch = std::move(axes);
  return s;
}
// Heads [b, t, h, d] without a copy: scores [b, h, t, t] of queries by keys, and their product with values.
GemmShape scores(int64_t b, int64_t t, int64_t h, int64_t d) {
  return batch({t, t, d, false, true, h * d, h * d}, {{b, t * h * d, t * h * d}, {h, d, d}});
}
GemmShape weighted(int64_t b, int64_t t, int64_t h, int64_t d) {
  return batch({t, d, t, false, false, t, h * d}, {{b, h * t * t, t * h * d}, {h, t * t, d}});
}

std::vector<Case> all_cases() {
  std::vector<Case> all;
  for (const Matrices& x : matrices)
    all.push_back({x.name, dense_gemm(x.m, x.n, x.k, x.transpose_a, x.transpose_b), x.times});
  const auto dense = [](int64_t count, int64_t size) {
    return batch(dense_gemm(size, size, size, false, false), {{count, size * size, size * size}});
  };
  all.push_back({"48x64", dense(48, 64)});
  all.push_back({"48x64 NT", batch(dense_gemm(64, 64, 64, false, true), {{48, 4096, 4096}})});
  all.push_back({"48x64 B", batch(dense_gemm(64, 64, 64, true, true), {{48, 4096, 0}})});
  all.push_back({"512x16", dense(512, 16)});
  all.push_back({"4x256", dense(4, 256)});
  all.push_back({"QK^T", scores(12, 64, 4, 32)});
  all.push_back({"PV", weighted(12, 64, 4, 32)});
  all.push_back({"QK^T 256", scores(4, 256, 6, 64)});
  all.push_back({"PV 256", weighted(4, 256, 6, 64)});
  all.push_back({"tokens", merge_batches(batch(dense_gemm(64, 384, 128, false, true), {{12, 64 * 128, 0}}))});
  return all;
}

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Least seconds of one call, from samples of at least `sample` seconds each.
template <class Run>
double least_seconds(double budget, const Run& run) {
  run();
  int repeats = 1;
  double best = 1e30, spent = 0;
  while (spent < budget) {
    const double start = thread_seconds();
    for (int i = 0; i < repeats; ++i) run();
    const double took = thread_seconds() - start;
    spent += took;
    if (took < 2e-3 && spent < budget / 2 && took < 1e-3) {
      repeats *= 2;
      continue;
    }
    best = std::min(best, took / repeats);
  }
  return best;
}

struct Free {
  void operator()(float* p) const { std::free(p); }
};
using Block = std::unique_ptr<float[], Free>;
Block make_block(int64_t floats, bool random) {
  const size_t bytes = (static_cast<size_t>(floats) * 4 + 4095) / 4096 * 4096;
  Block block(static_cast<float*>(std::aligned_alloc(4096, bytes)));
  std::mt19937 bits(1);
  std::uniform_real_distribution<float> value(-1, 1);
  for (size_t i = 0; i < bytes / 4; ++i) block[i] = random ? value(bits) : 0.0f;
  return block;
}

// Stores the sums plus a bias over n, through relu.
GemmEpilogue bias_relu(int64_t n, int bias_index, int c_index, bool bias) {
  return [=](const GemmEpilogueArgs& e) {
    auto& b = e.builder;
    auto* type = e.acc->getType();
    const auto pointer = [&](int index) {
      auto* slot = e.entry.CreateConstInBoundsGEP1_64(b.getPtrTy(), e.buffers, static_cast<uint64_t>(index));
      return e.entry.CreateLoad(b.getPtrTy(), slot);
    };
    auto* c = pointer(c_index);
    auto* value = e.acc;
    const llvm::Align align(4);
    if (bias) {
      auto* at = b.CreateInBoundsGEP(b.getFloatTy(), pointer(bias_index), e.column);
      llvm::Value* x = e.mask ? b.CreateMaskedLoad(type, at, align, e.mask, llvm::Constant::getNullValue(type))
                              : static_cast<llvm::Value*>(b.CreateAlignedLoad(type, at, align));
      value = b.CreateFAdd(value, x);
      value = b.CreateSelect(b.CreateFCmpOGT(value, llvm::Constant::getNullValue(type)), value,
                             llvm::Constant::getNullValue(type));
    }
    auto* offset = b.CreateNSWAdd(b.CreateNSWMul(e.row, b.getInt64(static_cast<uint64_t>(n))), e.column);
    auto* at = b.CreateInBoundsGEP(b.getFloatTy(), c, offset);
    if (e.mask)
      b.CreateMaskedStore(value, at, align, e.mask);
    else
      b.CreateAlignedStore(value, at, align);
  };
}

struct Compiled {
  std::optional<RunnableProduct> product;
  double seconds = 0;
  size_t bytes = 0;
};

std::unique_ptr<Compiled> compile(const GemmShape& shape, const GemmTiling& tiling, const Target& target, bool bias) {
  auto compiled = std::make_unique<Compiled>();
  auto machine = make_target_machine(target);
  const double start = thread_seconds();
  llvm::LLVMContext context;
  auto module = make_module(context, "gemm", *machine);
  const ProductAlone product = emit_alone(*module, shape, tiling, target, bias_relu(shape.n, 4, 3, bias));
  optimise(*module, *machine);
  if (std::getenv("GMC_BENCH_IR")) fmt::print("{}\n", print_module(*module));
  const Object object = emit_object(*module, *machine);
  compiled->seconds = thread_seconds() - start;
  compiled->bytes = object.size();
  compiled->product.emplace(product, object);
  return compiled;
}

// FLOP per second of fused multiply-adds on registers only.
double measure_peak(const Target& target) {
  const PeakCode code = emit_fma_peak(target);
  package::Jit jit;
  jit.add(code.object, "peak");
  const auto run = reinterpret_cast<void (*)(float*, int64_t)>(jit.lookup("gmc_fma_peak"));
  float values[16] = {};
  const int64_t turns = 100000;
  return code.flops_per_turn * static_cast<double>(turns) / least_seconds(0.3, [&] { run(values, turns); });
}

struct Data {
  Block a, b, c, packed, scratch, bias;
  std::vector<void*> buffers;
  // Both operands are at most as large as this where matrices do not overlap.
  static int64_t floats(const GemmShape& x, int64_t rows, int64_t columns, int64_t GemmBatch::* stride) {
    int64_t at = rows * columns;
    for (const GemmBatch& axis : x.batch) at += (axis.extent - 1) * axis.*stride;
    return at;
  }
  Data(const GemmShape& x, const GemmTiling& t)
      : a(make_block(floats(x, x.transpose_a ? x.k : x.m, x.lda, &GemmBatch::a), true)),
        b(make_block(floats(x, x.transpose_b ? x.n : x.k, x.ldb, &GemmBatch::b), true)),
        c(make_block(batches_of(x) * x.m * x.n, false)), packed(make_block(t.packed_bytes / 4 + 16, false)),
        scratch(make_block(t.scratch_bytes / 4 + 16, false)), bias(make_block(x.n, true)),
        buffers{a.get(), b.get(), packed.get(), c.get(), bias.get()} {}
};

double seconds_of(Compiled& compiled, const GemmTiling& t, Data& data, double budget) {
  RunnableProduct& product = *compiled.product;
  product.give(data.buffers);
  return least_seconds(budget, [&] {
    if (t.pack_tiles) product.pack(0, t.pack_tiles, data.scratch.get());
    product.compute(0, t.compute_tiles, data.scratch.get());
  });
}

double onednn_seconds([[maybe_unused]] const GemmShape& x, [[maybe_unused]] Data& data,
                      [[maybe_unused]] double budget) {
#ifdef GMC_BENCH_ONEDNN
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  static dnnl::stream stream(engine);
  dnnl::memory::dims to_a, to_b, to_c, at_a, at_b, at_c;
  int64_t left = batches_of(x) * x.m * x.n;
  for (const GemmBatch& axis : x.batch) {
    to_a.push_back(axis.a ? axis.extent : 1), at_a.push_back(axis.a ? axis.a : 1);
    to_b.push_back(axis.b ? axis.extent : 1), at_b.push_back(axis.b ? axis.b : 1);
    to_c.push_back(axis.extent), at_c.push_back(left /= axis.extent);
  }
  const auto matrix = [](dnnl::memory::dims& to, dnnl::memory::dims& at, int64_t rows, int64_t columns, bool transposed,
                         int64_t leading) {
    to.insert(to.end(), {rows, columns});
    at.insert(at.end(), {transposed ? 1 : leading, transposed ? leading : 1});
    return dnnl::memory::desc(to, dnnl::memory::data_type::f32, at);
  };
  const dnnl::memory::desc a = matrix(to_a, at_a, x.m, x.k, x.transpose_a, x.lda);
  const dnnl::memory::desc b = matrix(to_b, at_b, x.k, x.n, x.transpose_b, x.ldb);
  const dnnl::memory::desc c = matrix(to_c, at_c, x.m, x.n, false, x.n);
  const dnnl::matmul matmul(dnnl::matmul::primitive_desc(dnnl::matmul::desc(a, b, c), engine));
  const std::unordered_map<int, dnnl::memory> arguments{{DNNL_ARG_SRC, {a, engine, data.a.get()}},
                                                        {DNNL_ARG_WEIGHTS, {b, engine, data.b.get()}},
                                                        {DNNL_ARG_DST, {c, engine, data.c.get()}}};
  return least_seconds(budget, [&] { matmul.execute(stream, arguments); });
#else
  return 0;
#endif
}

std::string describe(const GemmTiling& t) {
  return fmt::format("{}{}{}{}x{}v k{} grid {}x{}x{}", t.swapped ? "swapped " : "",
                     t.packs_in_tile ? "packed in tiles "
                     : t.packed      ? "packed "
                                     : "",
                     t.copied_rows ? "copied rows " : "", t.row_block, t.panel_vectors, t.k_block, t.grid_batches,
                     t.grid_rows, t.grid_columns);
}

// Times every micro-kernel that fits the registers: what the cost model is checked against.
void search(const Case& x, const Target& target, double peak, double budget) {
  const GemmShape& shape = x.shape;
  const GemmTiling chosen = choose_gemm_tiling(shape, target);
  std::vector<std::pair<double, std::string>> found;
  const double work = x.work();
  for (bool swapped : {false, true})
    for (bool packed : {false, true})
      for (const auto& [r, v] : micro_kernel_sizes(target))
        for (int64_t k_block : {shape.k, (shape.k + 1) / 2, (shape.k + 3) / 4}) {
          if (r * v < 12 || (k_block < 128 && k_block < shape.k)) continue;
          GemmChoice choice = chosen;
          choice.swapped = swapped;
          choice.packed = packed;
          choice.row_block = r;
          choice.panel_vectors = v;
          choice.k_block = k_block;
          const GemmTiling t = tile_gemm(shape, target, choice);
          if (t.packed != packed) continue;
          Data data(shape, t);
          const auto compiled = compile(shape, t, target, false);
          found.emplace_back(work / seconds_of(*compiled, t, data, budget) / peak, describe(t));
        }
  std::sort(found.rbegin(), found.rend());
  for (size_t i = 0; i < std::min<size_t>(found.size(), 12); ++i)
    fmt::print("    {:5.1f} %  {}\n", 100 * found[i].first, found[i].second);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"the generated matrix product against the peak of one core"};
  std::string target_name = "native", only;
  double budget = 0.1;
  bool searching = false, bias = false;
  std::vector<int> forced;
  app.add_option("--target", target_name, "code generation target");
  app.add_option("--only", only, "one case by name");
  app.add_option("--seconds", budget, "CPU time per measurement");
  app.add_flag("--search", searching, "time all micro-kernels of each case");
  app.add_flag("--bias", bias, "with a bias and relu epilogue (not for oneDNN)");
  app.add_option("--force", forced, "swapped packed rows vectors k_block grid_rows grid_columns copied_rows")
      ->expected(8);
  CLI11_PARSE(app, argc, argv);
  // oneDNN's threads are OpenMP's, whose library has read its environment already.
  if (void* set_threads = dlsym(RTLD_DEFAULT, "omp_set_num_threads")) reinterpret_cast<void (*)(int)>(set_threads)(1);
  try {
    const Target target = target_named(target_name);
    const double peak = measure_peak(target);
    fmt::print("{} ({} lanes): peak {:.1f} GFLOP/s\n", target.cpu, target.lanes, peak / 1e9);
    double total_work = 0, total_seconds = 0, total_onednn = 0;
    for (const Case& x : all_cases()) {
      if (!only.empty() && only != x.name) continue;
      const GemmShape& shape = x.shape;
      const double before = thread_seconds();
      GemmTiling t = choose_gemm_tiling(shape, target);
      const double choosing = thread_seconds() - before;
      if (!forced.empty()) {
        GemmChoice choice{forced[0] != 0, forced[1] != 0, forced[2], forced[3],
                          forced[4],      forced[5],      forced[6], forced[7] != 0};
        t = tile_gemm(shape, target, choice);
      }
      Data data(shape, t);
      const auto compiled = compile(shape, t, target, bias);
      const double seconds = seconds_of(*compiled, t, data, budget);
      const double packing = !t.pack_tiles ? 0 : least_seconds(budget / 4, [&] {
        compiled->product->pack(0, t.pack_tiles, data.scratch.get());
      });
      const double theirs = onednn_seconds(shape, data, budget);
      const double work = x.work();
      fmt::print("{:9} {:3} x{:4} x{:4} x{:4} {}{}  {:6.1f} GFLOP/s {:5.1f} %", x.name, batches_of(shape), shape.m,
                 shape.n, shape.k, "NT"[shape.transpose_a], "NT"[shape.transpose_b], work / seconds / 1e9,
                 100 * work / seconds / peak);
      if (theirs > 0) fmt::print("  oneDNN {:6.1f} ({:.2f}x)", work / theirs / 1e9, theirs / seconds);
      fmt::print("  packing {:4.1f} %", 100 * packing / seconds);
      fmt::print("  chosen in {:.1f} ms, compiled in {:.1f} ms, {} bytes  {}, {} tiles\n", choosing * 1e3,
                 compiled->seconds * 1e3, compiled->bytes, describe(t), t.compute_tiles);
      total_work += x.times * work;
      total_seconds += x.times * seconds;
      total_onednn += x.times * theirs;
      if (searching) search(x, target, peak, budget);
    }
    if (total_work > 0)
      fmt::print("training step: {:.1f} GFLOP/s, {:.1f} % of peak{}\n", total_work / total_seconds / 1e9,
                 100 * total_work / total_seconds / peak,
                 total_onednn > 0 ? fmt::format("; oneDNN {:.1f} ({:.2f}x)", total_work / total_onednn / 1e9,
                                                total_onednn / total_seconds)
                                  : std::string());
  } catch (const std::exception& e) {
    fmt::print(stderr, "bench_gemm: {}\n", e.what());
    return 1;
  }
  return 0;
}

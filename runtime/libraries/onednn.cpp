#include "runtime/libraries/onednn.h"

#ifdef GMC_HAVE_ONEDNN

#include "runtime/execute/memory.h"

#include <dnnl.hpp>

#include <cstdlib>
#include <memory>
#include <vector>

// There if this oneDNN is built on OpenMP.
extern "C" [[gnu::weak]] void omp_set_num_threads(int);

namespace gmc {
namespace {

using namespace execute;
using dnnl::memory;

// The setting belongs to the thread and stays.
void use_one_thread() {
  thread_local bool done = false;
  if (done) return;
  if (omp_set_num_threads) omp_set_num_threads(1);
  done = true;
}

const dnnl::engine& cpu() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

memory::desc matrix(int64_t rows, int64_t columns, bool transposed) {
  return {{rows, columns}, memory::data_type::f32, transposed ? memory::dims{1, rows} : memory::dims{columns, 1}};
}

dnnl::primitive_attr attributes(const MatmulCall& c) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (!(c.flags & matmul_relu)) return attr;
  dnnl::post_ops ops;
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(dnnl::algorithm::eltwise_relu, 0, 0);
#else
  ops.append_eltwise(1, dnnl::algorithm::eltwise_relu, 0, 0);
#endif
  attr.set_post_ops(ops);
  return attr;
}

// The product of `rows` rows. Rows of a transposed A are columns of what is in memory, hence the stride of the whole.
dnnl::matmul::primitive_desc describe(const MatmulCall& c, int64_t rows) {
  const bool ta = c.flags & matmul_transpose_a, tb = c.flags & matmul_transpose_b;
  const memory::desc a({rows, c.k}, memory::data_type::f32, ta ? memory::dims{1, c.m} : memory::dims{c.k, 1});
  const memory::desc b = matrix(c.k, c.n, tb), out = matrix(rows, c.n, false);
  const memory::desc bias({1, c.n}, memory::data_type::f32, memory::dims{c.n, 1});
  const bool biased = c.flags & matmul_bias;
#if DNNL_VERSION_MAJOR >= 3
  if (biased) return {cpu(), a, b, bias, out, attributes(c)};
  return {cpu(), a, b, out, attributes(c)};
#else
  const dnnl::matmul::desc d = biased ? dnnl::matmul::desc(a, b, bias, out) : dnnl::matmul::desc(a, b, out);
  return {d, attributes(c), cpu()};
#endif
}

// What one worker needs to run one primitive; the pointers are set anew for each tile.
struct Arguments {
  memory a, b, c, bias, scratch;
  std::unordered_map<int, memory> map;

  explicit Arguments(const dnnl::matmul::primitive_desc& d, bool biased, void* scratch_memory)
      : a(d.src_desc(), cpu(), nullptr), b(d.weights_desc(), cpu(), nullptr), c(d.dst_desc(), cpu(), nullptr),
        scratch(d.scratchpad_desc(), cpu(), scratch_memory) {
    map = {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}, {DNNL_ARG_SCRATCHPAD, scratch}};
    if (!biased) return;
    bias = memory(d.bias_desc(), cpu(), nullptr);
    map.emplace(DNNL_ARG_BIAS, bias);
  }
};

// A primitive for `rows` rows with the arguments of each worker.
struct Part {
  dnnl::matmul primitive;
  std::vector<Arguments> arguments;
};

struct Product {
  MatmulCall call{};
  Part full, last;  // tiles of rows_per_tile rows; the last tile if it has fewer
  std::vector<dnnl::stream> streams;
  Pages scratch;

  ~Product() { scratch.release(); }
};

Part make_part(const dnnl::matmul::primitive_desc& d, bool biased, int workers, char* scratch, size_t stride) {
  Part part{dnnl::matmul(d), {}};
  for (int i = 0; i < workers; ++i) part.arguments.emplace_back(d, biased, scratch + static_cast<size_t>(i) * stride);
  return part;
}

std::unique_ptr<Product> make_product(const MatmulCall& call, int workers) {
  auto product = std::make_unique<Product>();
  product->call = call;
  const int64_t rows = std::min<int64_t>(call.m, call.rows_per_tile), rest = call.m % rows;
  const bool biased = call.flags & matmul_bias;
  const auto full = describe(call, rows), last = describe(call, rest ? rest : rows);
  const size_t needed = std::max(full.scratchpad_desc().get_size(), last.scratchpad_desc().get_size());
  const size_t stride = (needed + 4095) / 4096 * 4096;
  product->scratch = map_pages(stride * static_cast<size_t>(workers));
  if (!product->scratch.ok()) throw std::bad_alloc();
  product->full = make_part(full, biased, workers, product->scratch.data, stride);
  if (rest) product->last = make_part(last, biased, workers, product->scratch.data, stride);
  for (int i = 0; i < workers; ++i) product->streams.emplace_back(cpu());
  return product;
}

void* create(const MatmulCall* call, int workers, Message* message) {
  try {
    // Read by an OpenMP that is loaded later on; harmless to one that is there.
    setenv("OMP_WAIT_POLICY", "passive", 0);
    use_one_thread();
    return make_product(*call, workers).release();
  } catch (const std::exception& e) {
    report(message, Status::library, "oneDNN refuses a product of [%lld, %lld] by [%lld, %lld]: %s",
           static_cast<long long>(call->m), static_cast<long long>(call->k), static_cast<long long>(call->k),
           static_cast<long long>(call->n), e.what());
    return nullptr;
  }
}

bool run(void* handle, int worker, uint64_t tile, const void* a, const void* b, void* c, const void* bias) {
  try {
    use_one_thread();
    auto& product = *static_cast<Product*>(handle);
    const MatmulCall& call = product.call;
    const auto row = static_cast<int64_t>(tile) * call.rows_per_tile;
    const bool whole = row + call.rows_per_tile <= call.m || call.rows_per_tile >= call.m;
    Part& part = whole ? product.full : product.last;
    Arguments& arguments = part.arguments[static_cast<size_t>(worker)];
    const int64_t a_offset = call.flags & matmul_transpose_a ? row : row * call.k;
    arguments.a.set_data_handle(const_cast<float*>(static_cast<const float*>(a)) + a_offset);
    arguments.b.set_data_handle(const_cast<void*>(b));
    arguments.c.set_data_handle(static_cast<float*>(c) + row * call.n);
    if (bias) arguments.bias.set_data_handle(const_cast<void*>(bias));
    part.primitive.execute(product.streams[static_cast<size_t>(worker)], arguments.map);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

void destroy(void* handle) { delete static_cast<Product*>(handle); }

constexpr Libraries functions{"oneDNN", create, run, destroy};

}  // namespace

const execute::Libraries* onednn() { return &functions; }

}  // namespace gmc

#else

namespace gmc {
const execute::Libraries* onednn() { return nullptr; }
}  // namespace gmc

#endif

// Compiled programs that are linked with this door find it by this name.
extern "C" const gmc::execute::Libraries* gmc_program_libraries();
extern "C" const gmc::execute::Libraries* gmc_program_libraries() { return gmc::onednn(); }

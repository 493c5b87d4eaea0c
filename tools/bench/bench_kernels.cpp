// Generated kernels against the machine's stream bandwidth, measured in the same run: what they must read and write
// once, over the time they take.
#include "compiler/package/session.h"
#include "models/gmc.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <thread>

namespace {

using namespace gmc;

double now_ms() {
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median_ms(int repeats, const std::function<void()>& call) {
  call();
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const double start = now_ms();
    call();
    times.push_back(now_ms() - start);
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// As STREAM (McCalpin 1995) counts: bytes read and written by the loop, not what the caches fetch besides.
struct Stream {
  double read, copy, triad;  // GB/s
};

Stream measure_stream(int threads, int repeats, int64_t elements) {
  const auto n = static_cast<size_t>(elements);
  std::vector<float> a(n, 1), b(n, 2), c(n, 3);
  std::vector<float> sums(static_cast<size_t>(threads));
  const auto parallel = [&](const std::function<void(size_t, size_t, size_t)>& body) {
    std::vector<std::thread> workers;
    for (int t = 0; t < threads; ++t) {
      const auto k = static_cast<size_t>(t), count = static_cast<size_t>(threads);
      workers.emplace_back(body, n * k / count, n * (k + 1) / count, k);
    }
    for (std::thread& w : workers) w.join();
  };
  const double bytes = static_cast<double>(elements) * sizeof(float);
  Stream s{};
  s.copy = 2e-6 * bytes / median_ms(repeats, [&] {
             parallel([&](size_t from, size_t to, size_t) {
               for (size_t i = from; i < to; ++i) c[i] = a[i] * 3;
             });
           });
  s.triad = 3e-6 * bytes / median_ms(repeats, [&] {
              parallel([&](size_t from, size_t to, size_t) {
                for (size_t i = from; i < to; ++i) c[i] = a[i] + 3 * b[i];
              });
            });
  s.read = 1e-6 * bytes / median_ms(repeats, [&] {
             parallel([&](size_t from, size_t to, size_t k) {
               float lanes[64] = {};
               for (size_t i = from; i + 64 <= to; i += 64)
                 for (size_t j = 0; j < 64; ++j) lanes[j] += a[i + j];
               for (float v : lanes) sums[k] += v;
             });
           });
  return s;
}

struct Case {
  const char* name;
  const char* limit;  // which stream it is held against
  std::function<void(Tensor x, Tensor y)> body;
};

constexpr int64_t rows = 4096, columns = 2048;

const Case cases[] = {
    {"2 x + 1", "copy", [](Tensor x, Tensor) { output("z", 2 * x + 1); }},
    {"x + y", "triad", [](Tensor x, Tensor y) { output("z", x + y); }},
    {"tanh", "copy", [](Tensor x, Tensor) { output("z", tanh(x)); }},
    {"gelu", "copy", [](Tensor x, Tensor) { output("z", gelu(x)); }},
    {"silu(x) y", "triad", [](Tensor x, Tensor y) { output("z", silu(x) * y); }},
    {"dropout", "copy", [](Tensor x, Tensor) { output("z", dropout("u", x, 0.1)); }},
    {"transpose", "copy", [](Tensor x, Tensor) { output("z", transpose(x)); }},
    {"sum of all", "read", [](Tensor x, Tensor) { output("z", sum(x)); }},
    {"sum of rows", "read", [](Tensor x, Tensor) { output("z", sum(x, {1})); }},
    {"sum of columns", "read", [](Tensor x, Tensor) { output("z", sum(x, {0})); }},
    {"max of rows", "read", [](Tensor x, Tensor) { output("z", max(x, {1})); }},
    {"mean squared error", "read", [](Tensor x, Tensor y) { output("z", mse_loss(x, y)); }},
    {"softmax", "copy", [](Tensor x, Tensor) { output("z", softmax(x, 1)); }},
    {"log_softmax", "copy", [](Tensor x, Tensor) { output("z", log_softmax(x, 1)); }},
    {"logsumexp", "read", [](Tensor x, Tensor) { output("z", logsumexp(x, {1})); }},
    {"layer_norm", "copy", [](Tensor x, Tensor) { output("z", layer_norm(x)); }},
    {"rms_norm", "copy", [](Tensor x, Tensor) { output("z", rms_norm(x)); }},
    {"group_norm of 32 x 32", "copy",
     [](Tensor x, Tensor) { output("z", group_norm(reshape(x, {128, 64, 32, 32}), 8)); }},
    {"batch_norm of 32 x 32", "copy",
     [](Tensor x, Tensor) {
       const Tensor one = full({64}, 1), zero = full({64}, 0);
       output("z", batch_norm_training(reshape(x, {128, 64, 32, 32}), one, zero, zero, one).y);
     }},
};

void run(const Case& c, const Stream& stream, int threads, int repeats) {
  Program p;
  p.entry("entry", [&] { c.body(input("x", f32, {rows, columns}), input("y", f32, {rows, columns})); });
  const package::Options options{codegen::host_target(), "greedy", {}, "", 1, false};
  const package::Compiled compiled = package::compile({"kernels", "{}", {}, {*p.entry_named("entry").graph}}, options);
  package::Session session(compiled, {threads, false});
  const int entry = session.entry_index("entry");
  std::vector<HostTensor> tensors;
  std::vector<const void*> in;
  std::vector<void*> out;
  const auto inputs = session.inputs(entry), outputs = session.outputs(entry);
  tensors.reserve(inputs.size() + outputs.size());
  for (const auto& slot : inputs) {
    HostTensor& t = tensors.emplace_back(slot.type.dtype, slot.type.shape);
    for (int64_t e = 0; e < t.count(); ++e) t.as<float>()[e] = static_cast<float>(e * 7919 % 2003) / 1000 - 1;
    in.push_back(t.bytes.data());
  }
  for (const auto& slot : outputs) {
    HostTensor& t = tensors.emplace_back(slot.type.dtype, slot.type.shape);
    out.push_back(t.bytes.data());
  }
  const double ms = median_ms(repeats, [&] { session.run(entry, in, out, 0, 0); });
  const fusion::PlanReport& report = compiled.entries.at(0).report;
  const double rate = 1e-6 * static_cast<double>(report.bytes_compulsory) / ms;
  const std::string limit = c.limit;
  const double best = limit == "read" ? stream.read : limit == "copy" ? stream.copy : stream.triad;
  fmt::print("| {} | {} | {:.2f} | {:.1f} | {:.2f} | {:.0f} % of {} |\n", c.name, report.generated, ms, rate,
             static_cast<double>(report.bytes_total) / static_cast<double>(report.bytes_compulsory), 100 * rate / best,
             limit);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Generated kernels on f32[4096,2048] against the stream bandwidth of the same run");
  int threads = 2, repeats = 15;
  std::string only;
  app.add_option("--threads", threads)->capture_default_str();
  app.add_option("--repeats", repeats, "times are medians of as many")->capture_default_str();
  app.add_option("--only", only, "one case");
  CLI11_PARSE(app, argc, argv);
  const Stream stream = measure_stream(threads, repeats, rows * columns);
  fmt::print("stream, {} threads, 32 MiB arrays: read {:.1f}, copy {:.1f}, triad {:.1f} GB/s\n\n", threads, stream.read,
             stream.copy, stream.triad);
  fmt::print("| kernel | launches | ms | GB/s | moved / compulsory | share |\n|---|---:|---:|---:|---:|---:|\n");
  for (const Case& c : cases)
    if (only.empty() || only == c.name) run(c, stream, threads, repeats);
}

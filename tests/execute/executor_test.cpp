#include "runtime/execute/executor.h"

#include "runtime/execute/lookup.h"
#include "runtime/execute/random.h"
#include "runtime/execute/thread_pool.h"
#include "tests/execute/package_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace gmc::test {
namespace {

using testing::HasSubstr;

constexpr uint64_t tile = 16, tiles = 200, count = tile * tiles;

float* f(void* p) { return static_cast<float*>(p); }

// b := 2 a + draw
void scale(void* const* buffers, uint64_t begin, uint64_t end, void* scratch, const RunParameters* run) {
  for (uint64_t i = begin * tile; i < end * tile; ++i) {
    f(scratch)[i % tile] = f(buffers[0])[i] * 2;
    f(buffers[1])[i] =
        f(scratch)[i % tile] + static_cast<float>(uniform_of(random_word(stream_key(run->seed, 7, run->step), i)));
  }
}

// w += a, y := w * c
void update(void* const* buffers, uint64_t begin, uint64_t end, void*, const RunParameters*) {
  for (uint64_t i = begin * tile; i < end * tile; ++i) {
    f(buffers[1])[i] += f(buffers[0])[i];
    f(buffers[3])[i] = f(buffers[1])[i] * f(buffers[2])[i % 4];
  }
}

constexpr Kernel functions[] = {scale, update};

PackageBuilder model() {
  PackageBuilder b("demo");
  const uint64_t bytes = count * 4;
  const uint32_t a = b.arena(bytes), w = b.state("w", {tiles, tile}), c = b.constant({1, 2, 3, 4});
  b.scratch(tile * 4);
  b.launch("k0.scale", 0, tiles, {b.input(0, bytes), a});
  b.launch("k1.update", 1, tiles, {a, w, c, b.output(0, bytes)});
  b.copy("c0.keep", w, b.output(1, bytes));
  b.entry("step", {{"x", {tiles, tile}}}, {{"y", {tiles, tile}}, {"w", {tiles, tile}}});
  b.copy("c1.peek", w, b.output(0, bytes));
  b.entry("peek", {}, {{"w", {tiles, tile}}});
  return b;
}

std::vector<float> ramp() {
  std::vector<float> x(count);
  std::iota(x.begin(), x.end(), 1.0f);
  return x;
}

std::vector<float> run_twice(const Options& options) {
  PackageBuilder b = model();
  Opened model(b.finish(), functions, options);
  EXPECT_TRUE(model.context) << model.message.text;
  if (!model.context) return {};
  const auto x = ramp();
  std::vector<float> y(2 * count), w(count);
  for (uint64_t step = 0; step < 2; ++step) {
    const void* inputs[] = {x.data()};
    void* outputs[] = {y.data() + step * count, w.data()};
    EXPECT_EQ(model->run(0, 11, step, inputs, outputs, &model.message), Status::ok) << model.message.text;
  }
  void* outputs[] = {w.data()};
  EXPECT_EQ(model->run(1, 11, 0, nullptr, outputs, &model.message), Status::ok) << model.message.text;
  EXPECT_EQ(std::memcmp(w.data(), model->state(0), count * 4), 0);
  y.insert(y.end(), w.begin(), w.end());
  return y;
}

TEST(Executor, ComputesWhatTheKernelsSay) {
  Options options;
  options.threads = 1;
  const auto got = run_twice(options);
  const auto x = ramp();
  std::vector<float> w(count);
  for (uint64_t step = 0; step < 2; ++step)
    for (uint64_t i = 0; i < count; ++i) {
      w[i] += x[i] * 2 + static_cast<float>(uniform_of(random_word(stream_key(11, 7, step), i)));
      ASSERT_EQ(got[step * count + i], w[i] * static_cast<float>(1 + i % 4));
    }
  for (uint64_t i = 0; i < count; ++i) ASSERT_EQ(got[2 * count + i], w[i]);
}

TEST(Executor, ThreadsGuardAndMemoryChangeNothing) {
  Options options;
  options.threads = 1;
  const auto expected = run_twice(options);
  for (int threads : {2, 3, 8}) {
    options.threads = threads;
    EXPECT_EQ(run_twice(options), expected) << threads;
  }
  options.guard = true;
  EXPECT_EQ(run_twice(options), expected);
  options.guard = false;
  PackageBuilder b = model();
  options.memory_size = memory_bytes(b.finish(), options.threads);
  std::vector<char> memory(options.memory_size + 64);
  options.memory = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
  EXPECT_EQ(run_twice(options), expected);
}

TEST(Executor, TellsHowLongEachStepTook) {
  PackageBuilder b = model();
  Opened model(b.finish(), functions);
  const auto x = ramp();
  std::vector<float> y(count), w(count);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data(), w.data()};
  uint64_t times[3] = {};
  ASSERT_EQ(model->run(0, 0, 0, inputs, outputs, nullptr, times), Status::ok);
  for (const uint64_t ns : times) EXPECT_GT(ns, 0u);
}

TEST(Executor, NullDeviceRecords) {
  PackageBuilder b = model();
  Options options;
  options.null_device = true;
  Opened model(b.finish(), nullptr, options);
  ASSERT_TRUE(model.context) << model.message.text;
  ASSERT_EQ(model->run(0, 0, 0, nullptr, nullptr, nullptr), Status::ok);
  ASSERT_EQ(model->record_count(), 3u);
  EXPECT_STREQ(model->record()[0].name, "k0.scale");
  EXPECT_EQ(model->record()[1].tiles, tiles);
  EXPECT_EQ(model->record()[2].kind, StepKind::copy);
}

TEST(Executor, RefusesBadArguments) {
  PackageBuilder b = model();
  const Package* p = b.finish();
  Opened model(p, functions);
  Message message;
  void* outputs[] = {nullptr, nullptr};
  EXPECT_EQ(model->run(0, 0, 0, nullptr, outputs, &message), Status::invalid);
  EXPECT_STREQ(message.text, "entry 'step': input 'x' is a null pointer");
  const auto x = ramp();
  const void* inputs[] = {x.data()};
  EXPECT_EQ(model->run(0, 0, 0, inputs, outputs, &message), Status::invalid);
  EXPECT_STREQ(message.text, "entry 'step': output 'y' is a null pointer");
  EXPECT_EQ(model->run(2, 0, 0, nullptr, nullptr, &message), Status::invalid);
  EXPECT_STREQ(message.text, "entry 2 of 2 does not exist");
  EXPECT_EQ(model->state(1), nullptr);

  const auto refused = [&](const Package* package, const Kernel* kernels, const Options& options) {
    Opened other(package, kernels, options);
    EXPECT_FALSE(other.context);
    return std::string(other.message.text);
  };
  Options options;
  EXPECT_THAT(refused(nullptr, functions, options), HasSubstr("null pointer"));
  EXPECT_THAT(refused(p, nullptr, options), HasSubstr("function 0 of 2 is null"));
  options.threads = 65;
  EXPECT_THAT(refused(p, functions, options), HasSubstr("65 threads asked for"));
  options.threads = 1;
  alignas(64) char memory[64];
  options.memory = memory;
  options.memory_size = sizeof memory;
  EXPECT_THAT(refused(p, functions, options), HasSubstr("memory of 64 bytes given"));
}

TEST(Executor, FindsNames) {
  PackageBuilder b = model();
  const Package* p = b.finish();
  EXPECT_EQ(find_entry(p, "peek"), 1);
  EXPECT_EQ(find_entry(p, "pee"), -1);
  EXPECT_EQ(find_state(p, "w"), 0);
  EXPECT_EQ(find_state(p, "x"), -1);
  EXPECT_EQ(find_input(p, entry_at(p, 0), "x"), 0);
  EXPECT_EQ(find_output(p, entry_at(p, 0), "w"), 1);
  EXPECT_EQ(find_input(p, entry_at(p, 1), "x"), -1);
}

// Every field of a package may be damaged; none may lead outside it.
TEST(Executor, ValidatesDamagedPackages) {
  PackageBuilder b = model();
  const Package* good = b.finish();
  ASSERT_EQ(validate(good, good->bytes, nullptr), Status::ok);
  EXPECT_EQ(validate(good, good->bytes - 1, nullptr), Status::invalid);
  EXPECT_EQ(validate(good, 10, nullptr), Status::invalid);
  std::vector<uint64_t> block((good->bytes + 7) / 8);
  uint64_t refused = 0;
  for (uint64_t at = 0; at + 4 <= good->bytes; at += 4) {
    for (uint32_t value : {0xffffffffu, 0x7fffff00u}) {
      std::memcpy(block.data(), good, good->bytes);
      std::memcpy(reinterpret_cast<char*>(block.data()) + at, &value, 4);
      Message message;
      const Status status = validate(reinterpret_cast<const Package*>(block.data()), good->bytes, &message);
      EXPECT_EQ(status != Status::ok, message.text[0] != 0) << at;
      refused += status != Status::ok;
    }
  }
  EXPECT_GT(refused, 100u);
}

// Guard mode.

constexpr uint64_t odd = 1003;  // floats

void read_past_end(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters*) {
  f(buffers[1])[0] = f(buffers[0])[odd];
}
void write_past_end(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters*) { f(buffers[1])[odd] = 1; }
void write_below(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters*) { f(buffers[1])[-1] = 1; }
void write_input(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters*) { f(buffers[0])[0] = 1; }
void copy_over(void* const* buffers, uint64_t, uint64_t, void*, const RunParameters*) {
  std::memcpy(buffers[1], buffers[0], odd * 4);
}
constexpr Kernel bad[] = {read_past_end, write_past_end, write_below, write_input, copy_over};

// Runs function `which` from one kind of buffer to an arena buffer, then returns that.
Status run_guarded(uint32_t which, Space from, std::vector<float>* result = nullptr, std::string* text = nullptr) {
  PackageBuilder b("bad");
  const uint32_t source = from == Space::constant ? b.constant(std::vector<float>(odd, 5))
                          : from == Space::arena  ? b.arena(odd * 4)
                                                  : b.input(0, odd * 4);
  const uint32_t to = b.arena(odd * 4);
  b.launch("k0.bad", which, 1, {source, to});
  b.copy("c0", to, b.output(0, odd * 4));
  b.entry("main", {{"x", {odd}}}, {{"y", {odd}}});
  Options options;
  options.threads = 1;
  options.guard = true;
  Opened model(b.finish(), bad, options);
  std::vector<float> x(odd, 3), y(odd);
  const void* inputs[] = {x.data()};
  void* outputs[] = {y.data()};
  const Status status = model->run(0, 0, 0, inputs, outputs, &model.message);
  if (result) *result = y;
  if (text) *text = model.message.text;
  return status;
}

TEST(GuardDeathTest, CatchesAccessOutsideBuffers) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run_guarded(0, Space::input), "");
  EXPECT_DEATH(run_guarded(0, Space::constant), "");
  EXPECT_DEATH(run_guarded(1, Space::input), "");
  EXPECT_DEATH(run_guarded(3, Space::constant), "");
}

TEST(Guard, ReportsWritesBelowABuffer) {
  std::string text;
  EXPECT_EQ(run_guarded(2, Space::input, nullptr, &text), Status::damaged);
  EXPECT_THAT(text, HasSubstr("step 'k0.bad' wrote below the start of buffer 1"));
}

TEST(Guard, FillsTheArenaWithNaN) {
  std::vector<float> y;
  EXPECT_EQ(run_guarded(4, Space::arena, &y), Status::ok);
  for (float v : y) ASSERT_TRUE(std::isnan(v));
  EXPECT_EQ(run_guarded(4, Space::input, &y), Status::ok);
  EXPECT_EQ(y, std::vector<float>(odd, 3));
}

TEST(Guard, ViewsShareTheirBuffer) {
  for (bool guard : {false, true}) {
    PackageBuilder b("views");
    const uint32_t x = b.input(0, 32), y = b.output(0, 32), a = b.arena(32);
    b.copy("c0", b.view(x, 16, 16), b.view(a, 0, 16));
    b.copy("c1", b.view(x, 0, 16), b.view(a, 16, 16));
    b.copy("c2", b.view(a, 8, 16), b.view(y, 16, 16));
    b.copy("c3", b.view(a, 0, 16), b.view(y, 0, 16));
    b.entry("main", {{"x", {8}}}, {{"y", {8}}});
    Options options;
    options.guard = guard;
    Opened model(b.finish(), nullptr, options);
    ASSERT_TRUE(model.context) << model.message.text;
    const std::vector<float> in{0, 1, 2, 3, 4, 5, 6, 7};
    std::vector<float> out(8);
    const void* inputs[] = {in.data()};
    void* outputs[] = {out.data()};
    ASSERT_EQ(model->run(0, 0, 0, inputs, outputs, nullptr), Status::ok);
    EXPECT_EQ(out, (std::vector<float>{4, 5, 6, 7, 6, 7, 0, 1})) << guard;
  }
}

}  // namespace
}  // namespace gmc::test

// Runs an entry: inputs from files, as many calls as asked for, results to files.
#include "runtime/artifact/program.h"
#include "runtime/artifact/results.h"
#include "runtime/base/error.h"
#include "runtime/execute/lookup.h"
#include "runtime/execute/weights.h"
#include "runtime/files/npy.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace gmc::artifact {
namespace {

using namespace execute;

// A file as memory; read lazily.
class Mapped {
public:
  explicit Mapped(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    struct stat about{};
    if (file < 0 || fstat(file, &about) != 0) fail("cannot read '{}': {}", path, std::strerror(errno));
    size_ = static_cast<size_t>(about.st_size);
    if (size_) data_ = mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (data_ == MAP_FAILED) fail("cannot read '{}': {}", path, std::strerror(errno));
  }
  ~Mapped() {
    if (data_) munmap(data_, size_);
  }
  Mapped(const Mapped&) = delete;
  Mapped& operator=(const Mapped&) = delete;
  const void* data() const { return data_ ? data_ : ""; }
  size_t size() const { return size_; }

private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

using Handle = std::unique_ptr<Context, void (*)(Context*)>;

Handle open_context(const Program& program, const Arguments& arguments) {
  const Package* p = program.package;
  Options options;
  options.threads = static_cast<int>(arguments.number("--threads", 0, 1, 64));
  options.libraries = program.libraries;
  const char* allocation = std::getenv("GMC_TEST_ALLOC");
  options.guard = allocation && std::strcmp(allocation, "guard") == 0;
  Message message;
  Handle context(Context::create(p, program.functions, options, &message), Context::destroy);
  if (!context) fail("{}", message.text);
  Status status = Status::ok;
  const std::string path = arguments.text("--weights");
  if (!path.empty()) {
    const Mapped file(path);
    status = load_state(*context, file.data(), file.size(), &message);
  } else if (program.weights_bytes) {
    status = load_state(*context, program.weights, program.weights_bytes, &message);
  } else {
    for (uint32_t i = 0; i < p->state_count; ++i)
      if (state_at(p, i).flags & state_parameter) fail_usage("this program has no weights in it: give --weights FILE");
  }
  if (status != Status::ok) fail("{}{}{}", path, path.empty() ? "" : ": ", message.text);
  return context;
}

Shape shape_of(const Tensor& t) { return Shape(t.extents, t.extents + t.rank); }

// An input, given whole or in more rows than one call takes. Behind the last row comes the first: what is over in the
// last call is no row of zeros, and training goes round.
struct Input {
  const Tensor* tensor;
  HostTensor file;
  bool in_rows = false;
  std::vector<std::byte> piece;  // what a call sees of an input in rows

  const void* of_call(uint64_t call) {
    if (!in_rows) return file.bytes.data();
    piece.resize(tensor->bytes);
    const auto batch = static_cast<uint64_t>(tensor->extents[0]), rows = static_cast<uint64_t>(file.shape[0]);
    const uint64_t row = tensor->bytes / batch;
    for (uint64_t b = 0; b < batch; ++b)
      std::copy_n(file.bytes.data() + (call * batch + b) % rows * row, row, piece.data() + b * row);
    return piece.data();
  }
};

Input load_input(const Package* p, const Entry& e, const Tensor& t, const std::string& path) {
  Input input{&t, files::load_npy(path), false, {}};
  const Shape expected = shape_of(t), &got = input.file.shape;
  const bool same_rows = !got.empty() && got.size() == expected.size() && got[0] > 0 && expected[0] > 0 &&
                         std::equal(got.begin() + 1, got.end(), expected.begin() + 1);
  if (static_cast<uint32_t>(input.file.dtype) != t.dtype || (got != expected && !same_rows))
    fail("{}: input '{}' of entry '{}' is {}, got {} {}", path, string_at(p, t.name), string_at(p, e.name),
         type_text(t), name_of(input.file.dtype), to_string(got));
  input.in_rows = got != expected;
  return input;
}

std::vector<Input> load_inputs(const Package* p, const Entry& e, const Arguments& arguments) {
  std::vector<std::string> paths(e.input_count);
  std::vector<std::string_view> names;
  for (uint32_t i = 0; i < e.input_count; ++i) names.push_back(string_at(p, input_of(p, e, i).name));
  for (const std::string& given : arguments.all("--input")) {
    const size_t equals = given.find('=');
    if (equals == given.npos) fail_usage("flag '--input': expected NAME=FILE.npy, got '{}'", given);
    const std::string name = given.substr(0, equals);
    const int64_t index = find_input(p, e, name.c_str());
    if (index < 0) fail_usage("entry '{}' has no input '{}'{}", string_at(p, e.name), name, suggestion(name, names));
    paths[static_cast<size_t>(index)] = given.substr(equals + 1);
  }
  std::vector<Input> inputs;
  for (uint32_t i = 0; i < e.input_count; ++i) {
    const Tensor& t = input_of(p, e, i);
    if (paths[i].empty())
      fail_usage("entry '{}' needs input '{}', {}: give --input {}=FILE.npy", string_at(p, e.name), names[i],
                 type_text(t), names[i]);
    inputs.push_back(load_input(p, e, t, paths[i]));
  }
  return inputs;
}

// How many calls, and how many rows of their results are wanted (0: all of the last call).
struct Extent {
  uint64_t calls = 1, rows = 0;
};

Extent extent_of(const Package* p, const Entry& e, const std::vector<Input>& inputs, const Arguments& arguments) {
  if (arguments.has("-n") && arguments.has("--steps")) fail_usage("flags '-n' and '--steps' exclude each other");
  constexpr uint64_t most = uint64_t{1} << 40;
  const Input* first = nullptr;
  for (const Input& input : inputs) {
    if (!input.in_rows) continue;
    if (!first) first = &input;
    const int64_t rows = input.file.shape[0], others = first->file.shape[0];
    if (rows != others)
      fail("entry '{}': input '{}' has {} rows, input '{}' has {}", string_at(p, e.name),
           string_at(p, first->tensor->name), others, string_at(p, input.tensor->name), rows);
  }
  if (arguments.has("--steps")) return {arguments.number("--steps", 1, 1, most), 0};
  uint64_t rows = arguments.number("-n", 0, 1, most), batch = 0;
  if (first) {
    const auto given = static_cast<uint64_t>(first->file.shape[0]);
    batch = static_cast<uint64_t>(first->tensor->extents[0]);
    if (rows > given)
      fail_usage("flag '-n': input '{}' has {} rows, got {}", string_at(p, first->tensor->name), given, rows);
    if (!rows) rows = given;
  }
  for (uint32_t i = 0; i < e.output_count && !batch; ++i)
    if (output_of(p, e, i).rank) batch = static_cast<uint64_t>(output_of(p, e, i).extents[0]);
  if (!rows) return {};
  if (!batch) fail_usage("entry '{}' has no output with rows that '-n' could count", string_at(p, e.name));
  return {(rows + batch - 1) / batch, rows};
}

void print_profile(const Package* p, const Entry& e, const std::vector<uint64_t>& times) {
  for (uint32_t i = 0; i < e.step_count; ++i)
    fmt::print("{:>10.1f} us  {}\n", static_cast<double>(times[i]) / 1e3,
               string_at(p, step_at(p, e.first_step + i).name));
}

}  // namespace

void call_entry(const Program& program, uint64_t entry, const Arguments& arguments) {
  const Package* p = program.package;
  const Entry& e = entry_at(p, entry);
  Results results(p, e, arguments);  // refuses wrong flags before the work
  std::vector<Input> inputs = load_inputs(p, e, arguments);
  const Extent extent = extent_of(p, e, inputs, arguments);
  const Handle context = open_context(program, arguments);
  const uint64_t seed = arguments.number("--seed", 0, 0, UINT64_MAX),
                 first = arguments.number("--first-step", 0, 0, UINT64_MAX / 2);
  results.begin(extent.calls, extent.rows);
  std::vector<uint64_t> times(e.step_count);
  Message message;
  for (uint64_t call = 0; call < extent.calls; ++call) {
    std::vector<const void*> in;
    for (Input& input : inputs) in.push_back(input.of_call(call));
    const Status status =
        context->run(entry, seed, first + call, in.data(), results.pointers(call), &message, times.data());
    if (status != Status::ok) fail("{}", message.text);
    results.end_call(call);
  }
  results.finish();
  if (arguments.has("--profile")) print_profile(p, e, times);
  const std::string save = arguments.text("--save");
  if (!save.empty() && save_state(*context, save.c_str(), &message) != Status::ok) fail("{}", message.text);
}

}  // namespace gmc::artifact

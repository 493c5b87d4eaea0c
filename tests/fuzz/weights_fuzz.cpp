// The reader of weights inside compiled programs, which has no library to lean on.
#include "runtime/execute/weights.h"

#include "runtime/files/safetensors.h"
#include "tests/execute/package_builder.h"
#include "tests/fuzz/fuzz.h"

#include <cstring>

namespace gmc::fuzz {
namespace {

struct Program {
  test::PackageBuilder builder{"program"};
  test::Opened opened;
  Program() : opened(built(builder), nullptr) { require(opened.context != nullptr, "the program does not open"); }
  static const execute::Package* built(test::PackageBuilder& b) {
    b.state("a.weight", {2, 3});
    b.state("b.steps", {}, execute::state_training, i64);
    b.state("c", {0, 4}, 0, boolean);
    return b.finish();
  }
};

TensorMap states() {
  TensorMap result;
  result["a.weight"] = filled(f32, {2, 3});
  result["b.steps"] = filled(i64, {});
  result["c"] = filled(boolean, {0, 4});
  return result;
}

}  // namespace

std::vector<Seed> seeds() {
  TensorMap more = states(), fewer = states();
  more["../x"] = filled(f16, {2});
  more["deep"] = filled(u8, {1, 1, 1, 1, 1, 1, 1, 2});
  fewer.erase("b.steps");
  return {files::format_safetensors(states()), files::format_safetensors(more, {{"format", "p\"t"}}),
          files::format_safetensors(fewer)};
}

void read(files::Bytes bytes) {
  static Program program;
  execute::Context& context = *program.opened.context;
  execute::Message message;
  float* weight = static_cast<float*>(context.state(0));
  std::memset(weight, 0x5a, 24);
  const execute::Status status = execute::load_state(context, bytes.data(), bytes.size(), &message);
  if (status != execute::Status::ok) {
    require(status == execute::Status::invalid && *message.text != 0, "a refusal without a text");
    for (const char* c = message.text; *c; ++c)
      require(*c >= ' ' && *c <= '~', std::string("a refusal that holds control characters: ") + message.text);
    for (size_t i = 0; i < 24; ++i)
      require(reinterpret_cast<unsigned char*>(weight)[i] == 0x5a, "a refused file changes the state");
  }
  // What the strict reader accepts and what fits is loaded, to the byte. Escapes in names are the strict reader's
  // alone.
  if (text_of(bytes).find('\\') != std::string_view::npos) return;
  const TensorMap tensors = files::parse_safetensors(bytes, "file");
  const TensorMap wanted = states();
  for (const auto& [name, tensor] : wanted) {
    const auto found = tensors.find(name);
    if (found == tensors.end() && name != "a.weight") continue;
    if (found == tensors.end() || found->second.dtype != tensor.dtype || found->second.shape != tensor.shape) return;
  }
  for (const auto& [name, tensor] : tensors)
    if (tensor.shape.size() > execute::max_rank) return;
  require(status == execute::Status::ok, std::string("refused, though it fits: ") + message.text);
  require(std::memcmp(weight, tensors.at("a.weight").bytes.data(), 24) == 0, "other bytes than the strict reader's");
}

}  // namespace gmc::fuzz

#include "compiler/graph/text.h"
#include "ops/registry.h"
#include "tests/fuzz/fuzz.h"
#include "tools/onnx/import.h"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace gmc::fuzz {
namespace {

constexpr const char* judge = "/usr/share/libonnx-testdata/data/node";
constexpr uintmax_t most_bytes = 2048;

// y = Relu(x) of f32[3], opset 17, where ONNX's tests are not installed.
constexpr std::string_view
    relu("\x08\x08\x3a\x33\x0a\x0c\x0a\x01\x78\x12\x01\x79\x22\x04\x52\x65\x6c\x75\x12\x01\x67\x5a\x0f\x0a"
         "\x01\x78\x12\x0a\x0a\x08\x08\x01\x12\x04\x0a\x02\x08\x03\x62\x0f\x0a\x01\x79\x12\x0a\x0a\x08\x08"
         "\x01\x12\x04\x0a\x02\x08\x03\x42\x04\x0a\x00\x10\x11",
         61);

}  // namespace

// The small models of ONNX's own tests, where they are installed: every operator with its attributes.
std::vector<Seed> seeds() {
  std::vector<Seed> result{seed_of(relu)};
  std::error_code none;
  for (const auto& folder : std::filesystem::directory_iterator(judge, none)) {
    const std::filesystem::path model = folder.path() / "model.onnx";
    const uintmax_t size = std::filesystem::file_size(model, none);
    if (none || size > most_bytes) continue;
    std::ifstream file(model, std::ios::binary);
    result.push_back(seed_of(std::string((std::istreambuf_iterator<char>(file)), {})));
  }
  return result;
}

void read(files::Bytes bytes) {
  const onnx::Model model = onnx::read(bytes);
  const onnx::Imported imported = onnx::import_model(model);
  for (const auto& [name, tensor] : imported.weights) require_whole(tensor);
  // What was imported is a graph like any other.
  graph::verify(imported.graph);
  const std::string text = graph::print(imported.graph);
  require(graph::print(graph::parse(text, ops::registry())) == text, "a graph changes when printed:\n" + text);
}

}  // namespace gmc::fuzz

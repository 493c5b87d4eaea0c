// A model: a name, a configuration with named sizes, and a function that builds the program.
#pragma once

#include "compiler/dsl/config.h"
#include "compiler/dsl/program.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Grows whenever a model compiled before cannot be used any more.
#define GMC_ABI_VERSION 2

#ifndef GMC_MODEL_SYMBOL
#define GMC_MODEL_SYMBOL gmc_model
#endif

// Defines a model; the function's parameter list and body follow. Sizes are {name, configuration}; the first is the
// default.
//
//   GMC_MODEL("vae-mlp", Config, {{"tiny", {}}, {"base", {.batch = 1024}}})
//   (Program& p, const Config& c) { ... }
#define GMC_MODEL(NAME, CONFIG, ...)                                                                                   \
  static void gmc_build(::gmc::Program&, const CONFIG&);                                                               \
  extern "C" __attribute__((visibility("default"))) const ::gmc::ModelDefinition* GMC_MODEL_SYMBOL() {                 \
    static const ::gmc::dsl::Size<CONFIG> sizes[] = __VA_ARGS__;                                                       \
    static const ::gmc::ModelDefinition definition{                                                                    \
        GMC_ABI_VERSION,                                                                                               \
        NAME,                                                                                                          \
        __FILE__,                                                                                                      \
        ::gmc::dsl::names_of(sizes),                                                                                   \
        [](size_t size) -> ::std::shared_ptr<void> { return ::std::make_shared<CONFIG>(sizes[size].config); },         \
        [](void* config) { return static_cast<CONFIG*>(config)->gmc_fields(); },                                       \
        [](::gmc::Program& p, const void* config) { gmc_build(p, *static_cast<const CONFIG*>(config)); }};             \
    return &definition;                                                                                                \
  }                                                                                                                    \
  static void gmc_build

namespace gmc {

// `field=value` pairs in order.
using Overrides = std::vector<std::pair<std::string, std::string>>;

struct ModelDefinition {
  int64_t abi;  // first, so that it can be read of any version
  const char* name;
  const char* file;
  std::vector<std::string> sizes;
  // Type-erased: a configuration of the size with this index, its fields, the program of a configuration.
  std::shared_ptr<void> (*configure)(size_t size);
  Fields (*fields)(void* config);
  void (*build_with)(Program&, const void* config);

  // Builds the program of a size (the first if empty). Throws `Error` for an unknown size, field or value, and for
  // mistakes in the model, with their place.
  void build(Program&, const std::string& size = {}, const Overrides& = {}) const;
  // (field, value) of a size, after overrides.
  Overrides values(const std::string& size = {}, const Overrides& = {}) const;
};

namespace dsl {
template <class Config>
struct Size {
  const char* name;
  Config config;
};
template <class Config, size_t count>
std::vector<std::string> names_of(const Size<Config> (&sizes)[count]) {
  std::vector<std::string> names;
  for (const Size<Config>& size : sizes) names.emplace_back(size.name);
  return names;
}
}  // namespace dsl

}  // namespace gmc

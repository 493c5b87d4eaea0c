#include "compiler/package/c_header.h"

#include "runtime/execute/lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <vector>

namespace gmc::package {
namespace {

using namespace execute;

// Of C99, C23 and C++20, as far as they can be the name of a tensor or entry.
constexpr std::string_view keywords[] = {
    "alignas",   "alignof",  "and",      "asm",     "auto",     "bitand",   "bitor",   "bool",      "break",
    "case",      "catch",    "char",     "class",   "compl",    "concept",  "const",   "continue",  "default",
    "delete",    "do",       "double",   "else",    "enum",     "explicit", "export",  "extern",    "false",
    "float",     "for",      "friend",   "goto",    "if",       "inline",   "int",     "long",      "mutable",
    "namespace", "new",      "not",      "nullptr", "operator", "or",       "private", "protected", "public",
    "register",  "requires", "restrict", "return",  "short",    "signed",   "sizeof",  "static",    "struct",
    "switch",    "template", "this",     "throw",   "true",     "try",      "typedef", "typename",  "typeof",
    "union",     "unsigned", "using",    "virtual", "void",     "volatile", "while",   "xor",       "wchar_t",
    "constexpr", "decltype", "noexcept"};

// C types of gmc::DType; 16-bit floats are given as their bits.
constexpr std::array<const char*, 9> c_types{"float",   "uint16_t", "uint16_t", "double", "int32_t",
                                             "int64_t", "int8_t",   "uint8_t",  "uint8_t"};

std::string shape_text(const Tensor& t) {
  std::string text = fmt::format("{} [", dtype_name(t.dtype));
  for (uint32_t i = 0; i < t.rank; ++i) text += fmt::format("{}{}", i ? ", " : "", t.extents[i]);
  return text + "]";
}

// Names of users inside a comment must not end it.
std::string comment(std::string_view text) {
  std::string out;
  for (char c : text) out += c == '*' ? '.' : static_cast<unsigned char>(c) < 32 ? ' ' : c;
  return out;
}

struct Argument {
  const Tensor* tensor;
  std::string name, type;
};

// Arguments of an entry, under names that differ from each other and from the fixed ones.
std::vector<Argument> arguments_of(const Package* p, const Entry& e) {
  std::set<std::string> taken{"m", "seed", "step", "inputs", "outputs"};
  std::vector<Argument> arguments;
  for (uint32_t i = 0; i < e.input_count + e.output_count; ++i) {
    const bool in = i < e.input_count;
    const Tensor& t = in ? input_of(p, e, i) : output_of(p, e, i - e.input_count);
    std::string name = c_identifier(string_at(p, t.name));
    if (taken.contains(name)) name += in ? "_in" : "_out";
    while (taken.contains(name)) name += "_";
    taken.insert(name);
    arguments.push_back({&t, name, fmt::format("{}{} *", in ? "const " : "", c_types[t.dtype])});
  }
  return arguments;
}

std::string array_of(const char* declaration, const std::vector<Argument>& arguments, size_t first, size_t last) {
  if (first == last) return "";
  std::string text = fmt::format("  {}[{}] = {{", declaration, last - first);
  for (size_t i = first; i < last; ++i) text.append(i == first ? "" : ", ").append(arguments[i].name);
  return text + "};\n";
}

// `step` beside an entry `step_` would clash as C names; later ones get underscores.
std::vector<std::string> entry_names(const Package* p) {
  std::set<std::string> taken{"open",    "open_weights", "close",   "error",         "state",       "save",   "load",
                              "package", "functions",    "weights", "weights_bytes", "arena_bytes", "runtime"};
  std::vector<std::string> names;
  for (uint32_t i = 0; i < p->entry_count; ++i) {
    std::string name = c_identifier(string_at(p, entry_at(p, i).name));
    while (taken.contains(name)) name += "_";
    taken.insert(name);
    names.push_back(name);
  }
  return names;
}

std::string entry_text(const Package* p, uint32_t index, const std::string& prefix, const std::string& name) {
  const Entry& e = entry_at(p, index);
  const auto arguments = arguments_of(p, e);
  std::string text = fmt::format("\n/* Entry '{}'.\n", comment(string_at(p, e.name)));
  std::string parameters;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const Argument& a = arguments[i];
    text +=
        fmt::format(" *   {:<6} {:<12} {}\n", i < e.input_count ? "input" : "output", a.name, shape_text(*a.tensor));
    parameters += fmt::format(", {}{}", a.type, a.name);
  }
  text += " */\n";
  text +=
      fmt::format("static inline int {0}_{1}({0} *m, uint64_t seed, uint64_t step{2}) {{\n", prefix, name, parameters);
  text += array_of("const void *inputs", arguments, 0, e.input_count);
  text += array_of("void *outputs", arguments, e.input_count, arguments.size());
  return text + fmt::format("  return {}_runtime.run((struct gmc_model *)m, {}, seed, step, {}, {});\n}}\n", prefix,
                            index, e.input_count ? "inputs" : "NULL", e.output_count ? "outputs" : "NULL");
}

// {P} is the prefix, {N} the model's name.
constexpr const char* preamble = R"(/* The compiled model '{N}'.
 *
 * Link with the static library, or with the object, libgmc_execute.a and libgmc_routines.a, and with -lpthread -lm.
 * Arrays are dense and row-major, in the caller's memory. Functions that return int return 0 for success; {P}_error() says
 * what went wrong otherwise. Random draws are a function of (seed, step). One call at a time for each open model. */
#ifndef GMC_MODEL_{P}_H
#define GMC_MODEL_{P}_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {{
#endif

#ifndef GMC_RUNTIME_TABLE
#define GMC_RUNTIME_TABLE
struct gmc_model;
/* The runtime that a model brings along. Reached through a table, so that a program can hold several models. */
struct gmc_runtime {{
  struct gmc_model *(*open)(const void *package, const void *functions, const void *weights, size_t weights_bytes, void *arena,
                            size_t arena_bytes, int threads, char *error, size_t error_size);
  void (*close)(struct gmc_model *model);
  int (*run)(struct gmc_model *model, int entry, uint64_t seed, uint64_t step, const void *const *inputs, void *const *outputs);
  const char *(*error)(const struct gmc_model *model);
  void *(*state)(struct gmc_model *model, const char *name, int *dtype, int *rank, const int64_t **extents);
  int (*save)(struct gmc_model *model, const char *path);
}};
#endif

extern const struct gmc_runtime {P}_runtime;
extern const unsigned char {P}_package[], {P}_weights[];
extern void (*const {P}_functions[])(void);
extern const uint64_t {P}_weights_bytes;

typedef struct {P} {P};

/* Opens the model with a safetensors file in memory, which may be freed afterwards; NULL: all state is zero. threads 0: as many
 * as there are CPUs. NULL on failure, with the text in `error` (which may be NULL). */
static inline {P} *{P}_open_weights(const void *safetensors, size_t bytes, int threads, char *error, size_t error_size) {{
  return ({P} *){P}_runtime.open({P}_package, (const void *){P}_functions, safetensors, bytes, NULL, 0, threads, error, error_size);
}}

/* The same with the weights that are part of the program; zero state if there are none. */
static inline {P} *{P}_open(int threads, char *error, size_t error_size) {{
  return {P}_open_weights({P}_weights_bytes ? {P}_weights : NULL, (size_t){P}_weights_bytes, threads, error, error_size);
}}

static inline void {P}_close({P} *m) {{ {P}_runtime.close((struct gmc_model *)m); }}
static inline const char *{P}_error(const {P} *m) {{ return {P}_runtime.error((const struct gmc_model *)m); }}

/* Writes all state to a safetensors file. */
static inline int {P}_save({P} *m, const char *path) {{ return {P}_runtime.save((struct gmc_model *)m, path); }}

)";

std::string state_text(const Package* p, const std::string& prefix) {
  std::string text = "/* Values of a state, to read and write between runs; NULL if there is none of this name.\n";
  for (uint32_t i = 0; i < p->state_count; ++i) {
    const Tensor& t = state_at(p, i);
    text += fmt::format(" *   {:<28} {}{}\n", comment(string_at(p, t.name)), shape_text(t),
                        t.flags & state_training ? ", of training" : "");
  }
  return text + fmt::format(" */\nstatic inline void *{0}_state({0} *m, const char *name) {{\n"
                            "  return {0}_runtime.state((struct gmc_model *)m, name, NULL, NULL, NULL);\n}}\n",
                            prefix);
}

}  // namespace

std::string c_identifier(const std::string& name) {
  std::string out;
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) out += '_';
  for (char c : name)
    out += std::isalnum(static_cast<unsigned char>(c)) && static_cast<unsigned char>(c) < 128 ? c : '_';
  return std::ranges::find(keywords, out) == std::end(keywords) ? out : out + "_";
}

std::string c_header(const Package* p, const std::string& prefix) {
  using namespace fmt::literals;
  const std::string id = c_identifier(prefix);
  std::string text = fmt::format(preamble, "N"_a = comment(string_at(p, p->name)), "P"_a = id);
  text += state_text(p, id);
  const auto names = entry_names(p);
  for (uint32_t i = 0; i < p->entry_count; ++i) text += entry_text(p, i, id, names[i]);
  return text + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n";
}

}  // namespace gmc::package

// Texts about a program: help, version, information.
#include "runtime/artifact/program.h"
#include "runtime/base/error.h"
#include "runtime/execute/lookup.h"

#ifndef GMC_VERSION
#define GMC_VERSION "0"
#endif

namespace gmc::artifact {
namespace {

using namespace execute;

constexpr Flag flags[] = {
    {"-n", "", "N", "make N rows: ceil(N / batch) calls, with step = number of the call"},
    {"--steps", "", "N", "N calls in a row, with step = number of the call; inputs in rows go round (training)"},
    {"--first-step", "", "K", "number of the first call, for draws (default 0)"},
    {"--seed", "", "S", "of all draws (default 0)"},
    {"--input", "-i", "NAME=FILE.npy", "an input of the entry"},
    {"--output", "-o", "[NAME=]FILE", "where a result goes: .png (images), .npy, .txt, or - to print"},
    {"--range", "", "LOW:HIGH", "values drawn black and white in .png (default 0:1)"},
    {"--weights", "", "FILE", "safetensors to use instead of the weights in the program"},
    {"--save", "", "FILE", "write the state to a safetensors file in the end"},
    {"--threads", "", "T", "1 to 64 (default: all CPUs)"},
    {"--profile", "", "", "print the time of each step of the last call"},
    {"--json", "", "", "machine-readable output of info"},
    {"--help", "-h", "", "this text"},
    {"--version", "", "", "the model, the compiler and the plan"},
};

constexpr const char* isa_names[] = {"x86-64", "x86-64-v3", "x86-64-v4", "another"};

const char* isa_name(const Package* p) { return isa_names[p->isa < 3 ? p->isa : 3]; }

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 32)
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += c;
  }
  return out + '"';
}

std::string tensor_json(const Package* p, const Tensor& t) {
  std::string shape;
  for (uint32_t i = 0; i < t.rank; ++i) shape += fmt::format("{}{}", i ? ", " : "", t.extents[i]);
  return fmt::format("{{\"name\": {}, \"dtype\": \"{}\", \"shape\": [{}]}}", quoted(string_at(p, t.name)),
                     dtype_name(t.dtype), shape);
}

std::string entries_text(const Package* p) {
  std::string text;
  for (uint32_t i = 0; i < p->entry_count; ++i) {
    const Entry& e = entry_at(p, i);
    text += fmt::format("  {}\n", string_at(p, e.name));
    for (uint32_t j = 0; j < e.input_count; ++j)
      text +=
          fmt::format("    input   {:<16} {}\n", string_at(p, input_of(p, e, j).name), type_text(input_of(p, e, j)));
    for (uint32_t j = 0; j < e.output_count; ++j)
      text +=
          fmt::format("    output  {:<16} {}\n", string_at(p, output_of(p, e, j).name), type_text(output_of(p, e, j)));
  }
  return text;
}

// A command that would work, for each entry.
std::string examples(const Program& program) {
  const Package* p = program.package;
  std::string text;
  for (uint32_t i = 0; i < p->entry_count; ++i) {
    const Entry& e = entry_at(p, i);
    text += fmt::format("  {} {}", program.name, string_at(p, e.name));
    for (uint32_t j = 0; j < e.input_count; ++j)
      text += fmt::format(" --input {0}={0}.npy", string_at(p, input_of(p, e, j).name));
    for (uint32_t j = 0; j < e.output_count; ++j) {
      const Tensor& t = output_of(p, e, j);
      if (t.rank == 0) continue;
      text += fmt::format("{} -o {}={}.npy", e.input_count || j ? "" : " -n 64", string_at(p, t.name),
                          string_at(p, t.name));
    }
    text += "\n";
  }
  return text;
}

}  // namespace

std::span<const Flag> program_flags() { return flags; }

std::string type_text(const Tensor& t) {
  std::string text = fmt::format("{} [", dtype_name(t.dtype));
  for (uint32_t i = 0; i < t.rank; ++i) text += fmt::format("{}{}", i ? ", " : "", t.extents[i]);
  return text + "]";
}

std::string version_text(const Program& program) {
  const Package* p = program.package;
  return fmt::format("{}, compiled by gmc {} for {}, plan {:016x}\n", string_at(p, p->name), GMC_VERSION, isa_name(p),
                     p->plan_hash);
}

std::string help_text(const Program& program) {
  const Package* p = program.package;
  std::string text = fmt::format(
      "The model '{}', compiled.\n\nUsage: {} ENTRY [flags]\n       {} info [--json]\n\nEntries:\n{}\nFlags:\n",
      string_at(p, p->name), program.name, program.name, entries_text(p));
  for (const Flag& f : flags)
    text += fmt::format(
        "  {:<28} {}\n",
        fmt::format("{}{}{}{}{}", f.brief, f.brief.empty() ? "" : ", ", f.name, f.value.empty() ? "" : " ", f.value),
        f.help);
  return text + "\nExamples:\n" + examples(program);
}

std::string info_text(const Program& program) {
  const Package* p = program.package;
  uint64_t parameters = 0;
  for (uint32_t i = 0; i < p->state_count; ++i)
    if (state_at(p, i).flags & state_parameter) parameters += state_at(p, i).bytes / dtype_bytes(state_at(p, i).dtype);
  return fmt::format("model        {}\ntarget       {}\nplan         {:016x}\nweights      {}\nparameters   {}\nstate  "
                     "      {} bytes\narena        "
                     "{} bytes\nscratch      {} bytes a thread\nkernels      {}\nentries\n{}",
                     string_at(p, p->name), isa_name(p), p->plan_hash,
                     program.weights_bytes ? "in the program" : "none in the program", parameters, p->state_bytes,
                     p->arena_bytes, p->scratch_bytes, p->function_count, entries_text(p));
}

std::string info_json(const Program& program) {
  const Package* p = program.package;
  const std::string_view config = string_at(p, p->config);
  std::string text = fmt::format(
      "{{\n  \"model\": {},\n  \"gmc\": \"{}\",\n  \"target\": \"{}\",\n  \"plan\": \"{:016x}\",\n  \"weights\": {},\n"
      "  \"arena_bytes\": {},\n  \"state_bytes\": {},\n  \"scratch_bytes\": {},\n  \"kernels\": {},\n  \"config\": "
      "{},\n",
      quoted(string_at(p, p->name)), GMC_VERSION, isa_name(p), p->plan_hash, program.weights_bytes ? "true" : "false",
      p->arena_bytes, p->state_bytes, p->scratch_bytes, p->function_count, config.empty() ? "{}" : config);
  text += "  \"entries\": [";
  for (uint32_t i = 0; i < p->entry_count; ++i) {
    const Entry& e = entry_at(p, i);
    text += fmt::format("{}\n    {{\"name\": {}, \"steps\": {}, \"inputs\": [", i ? "," : "",
                        quoted(string_at(p, e.name)), e.step_count);
    for (uint32_t j = 0; j < e.input_count; ++j) text.append(j ? ", " : "").append(tensor_json(p, input_of(p, e, j)));
    text += "], \"outputs\": [";
    for (uint32_t j = 0; j < e.output_count; ++j) text.append(j ? ", " : "").append(tensor_json(p, output_of(p, e, j)));
    text += "]}";
  }
  text += "\n  ],\n  \"state\": [";
  for (uint32_t i = 0; i < p->state_count; ++i)
    text.append(i ? ",\n    " : "\n    ").append(tensor_json(p, state_at(p, i)));
  return text + "\n  ]\n}\n";
}

void check_isa(const Package* p) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool v3 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
  const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const auto needed = static_cast<Isa>(p->isa);
  if ((needed == Isa::x86_64_v3 && !v3) || (needed == Isa::x86_64_v4 && !v4))
    fail("this program is compiled for {} CPUs, and this one is {}: compile it with --march {}", isa_name(p),
         v3 ? "x86-64-v3" : "x86-64", v3 ? "x86-64-v3" : "x86-64");
#else
  (void)p;
#endif
}

}  // namespace gmc::artifact

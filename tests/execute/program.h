// Compiled programs made by hand: a package and C functions in the place of what the compiler emits.
#pragma once

#include "tests/execute/package_builder.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace gmc::test {

// y[8] := scale[0] * x[8] + shift[8], with the kernel of program_source(); entry `apply`. Entry `count` adds 1 to the
// state `scale` and returns it as `loss`; entry `noise` gives images [4, 9] of the seed and the step.
inline PackageBuilder affine_model() {
  PackageBuilder b("affine");
  const uint32_t scale = b.state("scale", {1}), shift = b.state("shift", {8});
  b.launch("k0.affine", 0, 8, {b.input(0, 32), scale, shift, b.output(0, 32)});
  b.entry("apply", {{"x", {2, 4}}}, {{"y", {2, 4}}});
  b.launch("k1.count", 1, 1, {scale, b.output(0, 4)}, true);
  b.entry("count", {}, {{"loss", {}}});
  b.launch("k2.noise", 2, 4, {b.output(0, 4 * 9 * 4)});
  b.entry("noise", {}, {{"images", {4, 9}}});
  return b;
}
// A safetensors block: scale 2, and 9 for each shift but the last, which is 10.
inline std::string affine_weights() {
  const std::string header =
      R"({"scale":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"shift":{"dtype":"F32","shape":[8],"data_offsets":[4,36]}})";
  const uint64_t size = header.size();
  const float values[9] = {2, 9, 9, 9, 9, 9, 9, 9, 10};
  std::string bytes(reinterpret_cast<const char*>(&size), 8);
  return (bytes += header).append(reinterpret_cast<const char*>(values), sizeof values);
}

// C that defines P_package, P_functions and P_weights.
inline std::string program_source(const Package* p, const std::string& prefix, const std::string& weights) {
  const auto bytes = [&](const char* name, const void* data, size_t size) {
    std::string text = "const unsigned char " + prefix + name + "[] __attribute__((aligned(64))) = {";
    for (size_t i = 0; i < size; ++i) text += std::to_string(static_cast<const unsigned char*>(data)[i]) + ",";
    return text + "0};\n";
  };
  return R"(#include <stdint.h>
struct run { uint64_t seed, step; };
#define ARGUMENTS void *const *b, uint64_t begin, uint64_t end, void *scratch, const struct run *run
static void affine(ARGUMENTS) {
  const float *x = b[0], *scale = b[1], *shift = b[2];
  float *y = b[3];
  for (uint64_t i = begin; i < end; ++i) y[i] = x[i] * scale[0] + shift[i];
  (void)scratch, (void)run;
}
static void count(ARGUMENTS) {
  *(float *)b[1] = *(float *)b[0] += 1;
  (void)begin, (void)end, (void)scratch, (void)run;
}
static void noise(ARGUMENTS) {
  for (uint64_t i = begin; i < end; ++i)
    for (uint64_t j = 0; j < 9; ++j) ((float *)b[0])[i * 9 + j] = (float)(run->seed * 1000 + run->step * 100 + i * 10 + j);
  (void)scratch;
}
)" + bytes("_package", p, p->bytes) +
         bytes("_weights", weights.data(), weights.size()) + "const uint64_t " + prefix +
         "_weights_bytes = " + std::to_string(weights.size()) + ";\n" + "void (*const " + prefix +
         "_functions[])(ARGUMENTS) = {affine, count, noise};\n" + (prefix == "gmc_program" ? "" : R"(#include <stddef.h>
void *gmc_open(void), *gmc_close(void), *gmc_run(void), *gmc_error(void), *gmc_state(void), *gmc_save(void);
void *(*const )" + prefix + R"(_runtime[])(void) = {gmc_open, gmc_close, gmc_run, gmc_error, gmc_state, gmc_save};
)");
}

// An empty folder for this test.
inline std::string fresh_folder(const std::string& name) {
  const auto path = std::filesystem::path(testing::TempDir()) / ("gmc_" + name + "_" + std::to_string(getpid()));
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path.string();
}
inline void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
}
inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
// What a shell command writes to both streams, followed by `[exit N]` if N is not 0.
inline std::string command(const std::string& line) {
  FILE* pipe = popen(("{ " + line + "; } 2>&1").c_str(), "r");
  std::string text;
  char part[4096];
  for (size_t n; pipe && (n = fread(part, 1, sizeof part, pipe)) > 0;) text.append(part, n);
  const int status = pipe ? pclose(pipe) : -1;
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
  return code ? text + "[exit " + std::to_string(code) + "]" : text;
}
// What the linker needs beside archives with sanitizers.
inline std::string sanitizer_flags() {
#if defined(__SANITIZE_THREAD__)
  return " -fsanitize=thread";
#elif defined(__SANITIZE_ADDRESS__)
  return " -fsanitize=address,undefined";
#else
  return "";
#endif
}
// An archive that programs are linked with; the one with sanitizers, if there is one.
inline std::string archive(const std::string& name) {
  const std::string folder = sanitizer_flags().empty() ? "/lib" : "/lib/sanitized";
  return " " GMC_BINARY_DIR + folder + "/libgmc_" + name + ".a";
}

}  // namespace gmc::test

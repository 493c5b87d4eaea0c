#include "compiler/package/link.h"

#include "compiler/package/c_header.h"
#include "compiler/package/process.h"
#include "runtime/base/error.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <dlfcn.h>

namespace gmc::package {
namespace {

void write_file(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file.flush()) fail("cannot write '{}'", path);
}

void run(const std::vector<std::string>& arguments) {
  const ProcessResult r = run_process(arguments);
  if (r.status != 0) fail("'{}' failed with status {}:\n{}", fmt::join(arguments, " "), r.status, r.output);
}

std::vector<std::string> compiler_of(const LinkOptions& options) {
  return options.compiler.empty() ? system_compiler() : std::vector<std::string>{options.compiler};
}

std::vector<std::string> operator+(std::vector<std::string> a, const std::vector<std::string>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

// Files that make up a program: the objects of the code and one with the data.
class Parts {
public:
  Parts(const Compiled& compiled, const LinkOptions& options, bool for_executable) : compiler_(compiler_of(options)) {
    for (const codegen::ObjectCode& object : compiled.objects) {
      objects_.push_back(directory_.file(object.name + ".o"));
      write_file(objects_.back(), object.bytes);
    }
    const std::string prefix = for_executable ? "gmc_program" : c_identifier(compiled.name);
    // The data never pass through the compiler: the assembler takes them from files.
    write_file(directory_.file("package.bin"), compiled.package);
    write_file(directory_.file("weights.bin"), options.weights.empty() ? std::string(1, '\0') : options.weights);
    std::string text = "  .section .rodata\n";
    auto symbol = [&](const std::string& name, const std::string& body) {
      text +=
          fmt::format("  .balign 64\n  .globl {0}\n  .type {0}, @object\n{0}:\n{1}  .size {0}, .-{0}\n", name, body);
    };
    symbol(prefix + "_package", "  .incbin \"package.bin\"\n");
    symbol(prefix + "_weights", "  .incbin \"weights.bin\"\n");
    symbol(prefix + "_weights_bytes", fmt::format("  .quad {}\n", options.weights.size()));
    text += "  .section .data.rel.ro,\"aw\",@progbits\n";
    std::string pointers = compiled.functions.empty() ? "  .quad 0\n" : "";
    for (const std::string& function : compiled.functions) pointers += fmt::format("  .quad {}\n", function);
    symbol(prefix + "_functions", pointers);
    std::string runtime;  // struct gmc_runtime of c_header()
    for (const char* name : {"open", "close", "run", "error", "state", "save"})
      runtime += fmt::format("  .quad gmc_{}\n", name);
    if (!for_executable) symbol(prefix + "_runtime", runtime);
    text += "  .section .note.GNU-stack,\"\",@progbits\n";
    write_file(directory_.file("data.s"), text);
    objects_.push_back(directory_.file("data.o"));
    run(compiler_ + std::vector<std::string>{"-c", "-Xassembler", "-I" + directory_.file(""), directory_.file("data.s"),
                                             "-o", objects_.back()});
  }

  const std::vector<std::string>& compiler() const { return compiler_; }
  const std::vector<std::string>& objects() const { return objects_; }
  std::string file(const std::string& name) const { return directory_.file(name); }

private:
  TemporaryDirectory directory_;
  std::vector<std::string> compiler_, objects_;
};

// A linker's words about a place that cannot be written are hard to find in its output.
void check_place(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) fail("cannot write '{}': it is a folder", path);
  if (!std::filesystem::is_directory(folder, ignored))
    fail("cannot write '{}': there is no folder '{}'", path, folder.string());
}

// Builds beside the target and renames, so that a failed link leaves what was there.
template <class Make>
void replace_file(const std::string& path, Make make) {
  const std::string partial = path + ".partial";
  try {
    make(partial);
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    throw;
  }
  std::error_code problem, ignored;
  std::filesystem::rename(partial, path, problem);
  if (!problem) return;
  std::filesystem::remove(partial, ignored);
  fail("cannot write '{}': {}", path, problem.message());
}

bool calls_libraries(const Compiled& compiled) {
  return std::any_of(compiled.entries.begin(), compiled.entries.end(),
                     [](const CompiledEntry& e) { return e.report.library_calls > 0; });
}

std::string directory_of(const LinkOptions& options) {
  return options.directory.empty() ? library_directory() : options.directory;
}

}  // namespace

std::string library_directory() {
  Dl_info info{};
  if (!dladdr(reinterpret_cast<void*>(&library_directory), &info) || !info.dli_fname)
    fail("cannot find the folder of libgmc");
  return std::filesystem::absolute(info.dli_fname).parent_path().string();
}

void link_executable(const Compiled& compiled, const LinkOptions& options, const std::string& path) {
  check_place(path);
  if (calls_libraries(compiled))
    fail("an executable stands alone: compile with --lib=none, which generates every product");
  const Parts parts(compiled, options, true);
  const std::string lib = directory_of(options);
  replace_file(path, [&](const std::string& partial) {
    run(parts.compiler() + std::vector<std::string>{"-static-pie", "-s", "-o", partial} + parts.objects() +
        std::vector<std::string>{"-Wl,--gc-sections", "-Wl,-z,relro,-z,now,-z,noexecstack", "-L" + lib,
                                 "-lgmc_artifact_main", "-lgmc_runtime", "-lgmc_execute", "-lgmc_routines", "-lpng",
                                 "-lz", "-lm", "-lpthread"});
  });
}

namespace {

// Two models in one program may have kernels of the same name: those of an object are its own.
void hide_kernels(const Compiled& compiled, const std::string& object) {
  std::vector<std::string> hide{"objcopy"};
  for (const char* name : {"package", "functions", "weights", "weights_bytes", "runtime"})
    hide.push_back(fmt::format("--keep-global-symbol={}_{}", c_identifier(compiled.name), name));
  hide.push_back(object);
  run(hide);
}

}  // namespace

void link_object(const Compiled& compiled, const LinkOptions& options, const std::string& path) {
  check_place(path);
  const Parts parts(compiled, options, false);
  replace_file(path, [&](const std::string& partial) {
    run(parts.compiler() + std::vector<std::string>{"-r", "-nostdlib", "-Wl,--force-group-allocation", "-o", partial} +
        parts.objects());
    hide_kernels(compiled, partial);
  });
}

void link_static_library(const Compiled& compiled, const LinkOptions& options, const std::string& path) {
  check_place(path);
  if (calls_libraries(compiled))
    fail("a static library stands alone: compile with --lib=none, which generates every product");
  const Parts parts(compiled, options, false);
  const std::string merged = parts.file("model.o");
  // Section groups would be merged between two models, whose symbols are hidden from each other.
  run(parts.compiler() + std::vector<std::string>{"-r", "-nostdlib", "-Wl,--force-group-allocation", "-o", merged} +
      parts.objects() +
      std::vector<std::string>{"-Wl,--whole-archive", directory_of(options) + "/libgmc_execute.a",
                               "-Wl,--no-whole-archive", directory_of(options) + "/libgmc_routines.a"});
  hide_kernels(compiled, merged);
  replace_file(path, [&](const std::string& partial) {
    std::error_code ignored;
    std::filesystem::remove(partial, ignored);
    run({"ar", "rcsD", partial, merged});
  });
}

}  // namespace gmc::package

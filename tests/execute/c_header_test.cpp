#include "compiler/package/c_header.h"

#include "tests/execute/package_builder.h"
#include "tests/execute/program.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gmc::test {
namespace {

using testing::HasSubstr;

TEST(CHeader, MakesIdentifiers) {
  EXPECT_EQ(package::c_identifier("vae-mlp"), "vae_mlp");
  EXPECT_EQ(package::c_identifier("2x"), "_2x");
  EXPECT_EQ(package::c_identifier("while"), "while_");
  EXPECT_EQ(package::c_identifier(""), "_");
}

TEST(CHeader, TellsShapesAndAvoidsClashes) {
  PackageBuilder b("m*/odel");
  b.entry("step", {{"seed", {2, 3}}, {"x", {4}}}, {{"x", {4}}, {"int", {}}});
  b.entry("close", {}, {});
  const std::string text = package::c_header(b.finish(), "m-1");
  EXPECT_THAT(
      text,
      HasSubstr(
          "static inline int m_1_step(m_1 *m, uint64_t seed, uint64_t step, const float *seed_in, const float *x, "
          "float *x_out, float *int_)"));
  EXPECT_THAT(text, HasSubstr("input  seed_in      f32 [2, 3]"));
  EXPECT_THAT(text, HasSubstr("m_1_close_(m_1 *m, uint64_t seed"));
  EXPECT_THAT(text, HasSubstr("'m./odel'"));
}

// A C program around a model whose kernels are written in C: compiled with the strictest settings as C99 and as C++,
// linked with nothing but the C library and threads.
TEST(CHeader, CompilesAndRuns) {
  const std::string folder = fresh_folder("c_header");
  const Package* p = nullptr;
  PackageBuilder b = affine_model();
  p = b.finish();
  write_file(folder + "/affine.h", package::c_header(p, "affine"));
  write_file(folder + "/model.c", program_source(p, "affine", affine_weights()));
  write_file(folder + "/user.c", R"(
#include "affine.h"
#include <stdio.h>
#include <string.h>
int main(void) {
  char error[200] = "";
  float x[8] = {1, 2, 3, 4, 5, 6, 7, 8}, y[8];
  affine *m = affine_open(2, error, sizeof error);
  if (!m) { puts(error); return 1; }
  if (affine_apply(m, 0, 0, x, y)) { puts(affine_error(m)); return 2; }
  if (y[0] != 11 || y[7] != 26) return 3;
  ((float *)affine_state(m, "scale"))[0] = 0;
  if (affine_apply(m, 0, 0, x, y) || y[7] != 10) return 4;
  if (affine_apply(m, 0, 0, NULL, y) == 0 || !strstr(affine_error(m), "input 'x' is a null pointer")) return 5;
  if (affine_state(m, "nothing")) return 6;
  affine_close(m);
  m = affine_open_weights("12345678", 8, 1, error, sizeof error);
  if (m || !strstr(error, "weights: ")) return 7;
  puts("fine");
  return 0;
}
)");
  const std::string runtime = archive("execute") + sanitizer_flags();
  const std::string strict = " -Wall -Wextra -pedantic -Werror ";
  EXPECT_EQ(command("cd " + folder + " && gcc -std=c99 -c -O1" + strict +
                    "user.c -o user.o && gcc -c model.c && gcc user.o model.o " + runtime +
                    " -lpthread -lm -o c_user && ./c_user"),
            "fine\n");
  EXPECT_EQ(command("cd " + folder + " && g++ -std=c++11 -c -x c++" + strict +
                    "user.c -o user.o && gcc user.o model.o " + runtime + " -lpthread -lm -o cpp_user && ./cpp_user"),
            "fine\n");
}

}  // namespace
}  // namespace gmc::test

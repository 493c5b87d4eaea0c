#include "runtime/data/glyphs.h"

#include "runtime/execute/random.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

namespace gmc::data {
namespace {

// In a unit box, y downwards.
struct Point {
  double x, y;
};

// A smooth curve through its points; a corner is where one stroke ends and the next begins.
struct Stroke {
  int count;
  bool closed;
  std::array<Point, 12> points;
};

struct Form {
  int digit;
  int count;
  std::array<Stroke, 3> strokes;
};

constexpr std::array<Form, 19> forms{{
    {0,
     1,
     {{{8, true, {{{.50, .03}, {.76, .19}, {.81, .52}, {.71, .84}, {.48, .97}, {.26, .81}, {.19, .48}, {.28, .17}}}}}}},
    {0, 1, {{{7, true, {{{.56, .04}, {.80, .30}, {.76, .68}, {.50, .96}, {.24, .76}, {.22, .42}, {.36, .14}}}}}}},
    {1, 1, {{{3, false, {{{.52, .03}, {.50, .50}, {.49, .97}}}}}}},
    {1, 2, {{{3, false, {{{.30, .27}, {.43, .18}, {.55, .03}}}}, {3, false, {{{.55, .03}, {.54, .50}, {.54, .97}}}}}}},
    {1,
     3,
     {{{2, false, {{{.32, .22}, {.53, .04}}}},
       {2, false, {{{.53, .04}, {.53, .96}}}},
       {2, false, {{{.28, .96}, {.78, .96}}}}}}},
    {2,
     2,
     {{{7, false, {{{.22, .27}, {.33, .09}, {.55, .03}, {.75, .17}, {.71, .41}, {.51, .66}, {.22, .95}}}},
       {3, false, {{{.22, .95}, {.50, .93}, {.82, .95}}}}}}},
    {2,
     1,
     {{{10,
        false,
        {{{.22, .24},
          {.40, .05},
          {.68, .10},
          {.73, .36},
          {.54, .66},
          {.30, .91},
          {.17, .86},
          {.28, .75},
          {.54, .89},
          {.84, .91}}}}}}},
    {3,
     2,
     {{{5, false, {{{.22, .15}, {.48, .03}, {.71, .15}, {.66, .38}, {.40, .46}}}},
       {5, false, {{{.40, .46}, {.71, .55}, {.78, .77}, {.55, .96}, {.20, .86}}}}}}},
    {3,
     3,
     {{{3, false, {{{.22, .07}, {.48, .06}, {.76, .06}}}},
       {2, false, {{{.76, .06}, {.44, .42}}}},
       {5, false, {{{.44, .42}, {.72, .50}, {.79, .75}, {.55, .96}, {.20, .86}}}}}}},
    {4,
     2,
     {{{5, false, {{{.30, .05}, {.23, .34}, {.25, .52}, {.50, .55}, {.84, .50}}}},
       {3, false, {{{.70, .06}, {.65, .50}, {.60, .97}}}}}}},
    {4,
     3,
     {{{3, false, {{{.62, .04}, {.40, .33}, {.15, .64}}}},
       {2, false, {{{.15, .64}, {.88, .63}}}},
       {2, false, {{{.62, .04}, {.61, .97}}}}}}},
    {5,
     3,
     {{{3, false, {{{.78, .05}, {.55, .06}, {.33, .06}}}},
       {2, false, {{{.33, .06}, {.28, .44}}}},
       {6, false, {{{.28, .44}, {.52, .36}, {.76, .50}, {.75, .79}, {.48, .97}, {.18, .86}}}}}}},
    {6,
     1,
     {{{10,
        false,
        {{{.69, .04},
          {.43, .22},
          {.26, .52},
          {.27, .80},
          {.47, .97},
          {.70, .87},
          {.74, .66},
          {.57, .52},
          {.37, .60},
          {.28, .75}}}}}}},
    {7, 2, {{{3, false, {{{.18, .08}, {.50, .07}, {.82, .05}}}}, {3, false, {{{.82, .05}, {.59, .42}, {.43, .97}}}}}}},
    {7,
     3,
     {{{3, false, {{{.18, .10}, {.48, .08}, {.80, .06}}}},
       {3, false, {{{.80, .06}, {.58, .45}, {.40, .97}}}},
       {2, false, {{{.34, .51}, {.76, .48}}}}}}},
    {8,
     1,
     {{{12,
        true,
        {{{.71, .17},
          {.51, .03},
          {.29, .15},
          {.33, .37},
          {.53, .49},
          {.73, .68},
          {.67, .90},
          {.47, .97},
          {.26, .85},
          {.30, .64},
          {.51, .48},
          {.68, .35}}}}}}},
    {8,
     2,
     {{{5, true, {{{.50, .03}, {.71, .18}, {.64, .42}, {.36, .42}, {.29, .18}}}},
       {6, true, {{{.50, .46}, {.75, .60}, {.72, .88}, {.50, .97}, {.27, .88}, {.24, .60}}}}}}},
    {9,
     2,
     {{{6, true, {{{.72, .25}, {.54, .04}, {.31, .13}, {.26, .37}, {.45, .50}, {.67, .41}}}},
       {3, false, {{{.72, .23}, {.70, .58}, {.62, .97}}}}}}},
    {9,
     2,
     {{{6, true, {{{.73, .27}, {.56, .05}, {.33, .10}, {.25, .33}, {.41, .50}, {.65, .43}}}},
       {4, false, {{{.73, .25}, {.76, .58}, {.62, .88}, {.34, .95}}}}}}},
}};

// The random numbers of one image, in the order in which they are asked for.
class Draws {
public:
  explicit Draws(int64_t image)
      : key_(execute::stream_key(0, execute::stream_of("data/glyphs"), static_cast<uint64_t>(image))) {}
  double between(double low, double high) {
    return low + (high - low) * execute::uniform_of(execute::random_word(key_, next_++));
  }
  int below(int count) { return static_cast<int>(between(0, count)); }

private:
  uint64_t key_, next_ = 0;
};

// Where and how the pen writes: unit box to pixels.
struct Hand {
  double width, height, slant, cosine, sine, x, y, pen, ink, bend;

  explicit Hand(Draws& draw)
      : width(draw.between(15, 22)), height(draw.between(17, 21)), slant(draw.between(-0.15, 0.35)), x(0), y(0) {
    // Half-angle form: exact without a library's sine.
    const double t = draw.between(-0.08, 0.08);
    cosine = (1 - t * t) / (1 + t * t);
    sine = 2 * t / (1 + t * t);
    x = 13.5 + draw.between(-1.5, 1.5);
    y = 13.5 + draw.between(-1.5, 1.5);
    pen = draw.between(0.7, 1.6);  // half the width of a stroke, in pixels
    ink = draw.between(0.75, 1.0);
    bend = 0.03;
  }

  Point place(Point p, Draws& draw) const {
    const double v = (p.y + draw.between(-bend, bend) - 0.5) * height;
    const double u = (p.x + draw.between(-bend, bend) - 0.5) * width - slant * v;
    return {x + cosine * u - sine * v, y + sine * u + cosine * v};
  }
};

// Lays a line with round ends over the image. An overlap is as light as the lightest of what meets there.
void draw_line(Point a, Point b, const Hand& hand, std::span<double> image) {
  constexpr double last = glyph_side - 1;
  const double reach = hand.pen + 0.5;
  const auto pixel = [&](double v) { return static_cast<int64_t>(std::clamp(v, 0.0, last)); };
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  for (int64_t y = pixel(std::min(a.y, b.y) - reach); y <= pixel(std::max(a.y, b.y) + reach + 1); ++y)
    for (int64_t x = pixel(std::min(a.x, b.x) - reach); x <= pixel(std::max(a.x, b.x) + reach + 1); ++x) {
      const double px = static_cast<double>(x) - a.x, py = static_cast<double>(y) - a.y;
      const double t = length2 > 0 ? std::clamp((px * dx + py * dy) / length2, 0.0, 1.0) : 0.0;
      const double ex = px - t * dx, ey = py - t * dy;
      const double cover = std::clamp(reach - std::sqrt(ex * ex + ey * ey), 0.0, 1.0) * hand.ink;
      double& value = image[static_cast<size_t>(y * glyph_side + x)];
      value = std::max(value, cover);
    }
}

// A Catmull-Rom spline (Catmull, Rom, "A class of local interpolating splines", 1974) through the placed points.
void draw_stroke(const Stroke& stroke, const Hand& hand, Draws& draw, std::span<double> image) {
  constexpr int lines = 6;
  std::array<Point, 12> p{};
  for (int i = 0; i < stroke.count; ++i)
    p[static_cast<size_t>(i)] = hand.place(stroke.points[static_cast<size_t>(i)], draw);
  const auto at = [&](int i) {
    const int n = stroke.count;
    return p[static_cast<size_t>(stroke.closed ? (i + n) % n : std::clamp(i, 0, n - 1))];
  };
  for (int i = 0; i < stroke.count - (stroke.closed ? 0 : 1); ++i) {
    const Point a = at(i - 1), b = at(i), c = at(i + 1), d = at(i + 2);
    const auto curve = [](double p0, double p1, double p2, double p3, double t) {
      return p1 + 0.5 * t * (p2 - p0 + t * (2 * p0 - 5 * p1 + 4 * p2 - p3 + t * (3 * (p1 - p2) + p3 - p0)));
    };
    Point from = b;
    for (int k = 1; k <= lines; ++k) {
      const double t = static_cast<double>(k) / lines;
      const Point to{curve(a.x, b.x, c.x, d.x, t), curve(a.y, b.y, c.y, d.y, t)};
      draw_line(from, to, hand, image);
      from = to;
    }
  }
}

const Form& pick_form(int digit, Draws& draw) {
  const auto [first, last] = std::equal_range(forms.begin(), forms.end(), Form{digit, 0, {}},
                                              [](const Form& a, const Form& b) { return a.digit < b.digit; });
  return first[draw.below(static_cast<int>(last - first))];
}

}  // namespace

int glyph_digit(int64_t i) { return Draws(i).below(10); }

HostTensor draw_glyphs(int64_t count) {
  HostTensor images(DType::f32, {count, glyph_side, glyph_side});
  float* out = images.as<float>();
  for (int64_t i = 0; i < count; ++i) {
    Draws draw(i);
    const Form& form = pick_form(draw.below(10), draw);
    const Hand hand(draw);
    std::array<double, glyph_side * glyph_side> image{};
    for (int s = 0; s < form.count; ++s) draw_stroke(form.strokes[static_cast<size_t>(s)], hand, draw, image);
    for (const double value : image) *out++ = static_cast<float>(std::floor(value * 255 + 0.5)) / 255.0f;
  }
  return images;
}

}  // namespace gmc::data

#include "tools/gmc/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace gmc::tool {
namespace {

constexpr double width = 720, height = 260, left = 64, right = 12, top = 12, bottom = 34;
constexpr size_t stretches = 300;

constexpr const char* style = R"(
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin: 2rem 0 .4rem }
table { border-collapse: collapse } td { padding: .1rem 1.2rem .1rem 0; vertical-align: top } td:first-child { color: #666 }
svg { width: 100%; height: auto; font: 11px system-ui, sans-serif; fill: #666 }
img { max-width: 100%; image-rendering: pixelated } figure { margin: 1rem 0 } figcaption { color: #666 }
pre { background: #f5f5f3; padding: .8rem; white-space: pre-wrap; overflow-wrap: anywhere }
)";

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else if (static_cast<unsigned char>(c) >= 0x20 || c == '\n' || c == '\t')
      out += c;
    else
      out += ' ';
  }
  return out;
}

std::string base64(files::Bytes bytes) {
  constexpr const char* digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t word = 0;
    for (size_t k = 0; k < 3; ++k)
      word = word << 8 | (i + k < bytes.size() ? std::to_integer<uint32_t>(bytes[i + k]) : 0);
    for (size_t k = 0; k < 4; ++k) out += i + k > bytes.size() ? '=' : digits[word >> (18 - 6 * k) & 63];
  }
  return out;
}

struct Stretch {
  double x, mean, low, high;
};
std::vector<Stretch> thinned(const Curve& curve) {
  std::vector<Stretch> out;
  const size_t n = curve.points.size(), count = std::min(n, stretches);
  for (size_t s = 0; s < count; ++s) {
    const size_t begin = s * n / count, end = (s + 1) * n / count;
    Stretch one{0, 0, std::numeric_limits<double>::infinity(), -std::numeric_limits<double>::infinity()};
    for (size_t i = begin; i < end; ++i) {
      const auto [x, y] = curve.points[i];
      one.x += x / static_cast<double>(end - begin);
      one.mean += y / static_cast<double>(end - begin);
      one.low = std::min(one.low, y);
      one.high = std::max(one.high, y);
    }
    if (std::isfinite(one.mean)) out.push_back(one);
  }
  return out;
}

// Round numbers, about `count` of them, within [low, high].
std::vector<double> ticks(double low, double high, int count) {
  const double raw = (high - low) / count, magnitude = std::pow(10, std::floor(std::log10(raw)));
  const double ratio = raw / magnitude, step = magnitude * (ratio < 1.5 ? 1 : ratio < 3.5 ? 2 : ratio < 7.5 ? 5 : 10);
  std::vector<double> out;
  for (double t = std::ceil(low / step); t * step <= high * (1 + 1e-12) + 1e-300 && out.size() < 32; ++t)
    out.push_back(t * step);
  return out;
}

struct Line {
  std::string name;
  std::vector<Stretch> stretches;
};

// Axes by the middle of what is there: the first steps of a run may be far above the rest.
std::string figure(const std::vector<Line>& lines) {
  constexpr const char* colours[] = {"#2a6f97", "#c1440e"};
  double x0 = std::numeric_limits<double>::infinity(), x1 = -x0;
  std::vector<double> lows, highs;
  for (const Line& line : lines)
    for (const Stretch& s : line.stretches) {
      x0 = std::min(x0, s.x), x1 = std::max(x1, s.x);
      lows.push_back(s.low), highs.push_back(s.high);
    }
  if (lows.empty()) return "<p>no finite values</p>\n";
  std::sort(lows.begin(), lows.end());
  std::sort(highs.begin(), highs.end());
  double y0 = lows.front(), y1 = highs[(highs.size() - 1) * 49 / 50];
  if (y1 <= y0) y1 = highs.back();
  if (!(y1 > y0)) y0 -= 0.5, y1 = y0 + 1;
  if (!(x1 > x0)) x0 -= 0.5, x1 = x0 + 1;
  const double margin = 0.04 * (y1 - y0);
  y0 -= margin, y1 += margin;
  const auto px = [&](double x) { return left + (x - x0) / (x1 - x0) * (width - left - right); };
  const auto py = [&](double y) {
    return top + (1 - (std::clamp(y, y0, y1) - y0) / (y1 - y0)) * (height - top - bottom);
  };
  std::string svg = fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\">\n", width, height);
  for (const double y : ticks(y0, y1, 5))
    svg += fmt::format("<path d=\"M{:.1f} {:.1f}H{:.1f}\" stroke=\"#e4e4e0\"/><text x=\"{:.1f}\" y=\"{:.1f}\" "
                       "text-anchor=\"end\">{:.6g}</text>\n",
                       left, py(y), width - right, left - 6, py(y) + 4, y);
  for (const double x : ticks(x0, x1, 6))
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"middle\">{:.10g}</text>\n", px(x),
                       height - bottom + 18, x);
  svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\">step</text>\n", width - right, height - 2);
  for (size_t i = 0; i < lines.size(); ++i) {
    const auto& s = lines[i].stretches;
    if (s.empty()) continue;
    const char* colour = colours[i % 2];
    std::string band = "M", path = "M";
    for (const Stretch& one : s) band += fmt::format(" {:.1f} {:.1f}", px(one.x), py(one.high));
    for (auto it = s.rbegin(); it != s.rend(); ++it) band += fmt::format(" {:.1f} {:.1f}", px(it->x), py(it->low));
    for (const Stretch& one : s) path += fmt::format(" {:.1f} {:.1f}", px(one.x), py(one.mean));
    svg += fmt::format("<path d=\"{}Z\" fill=\"{}\" fill-opacity=\".18\"/>\n", band, colour);
    svg += fmt::format("<path d=\"{}\" fill=\"none\" stroke=\"{}\" stroke-width=\"1.6\"/>\n", path, colour);
    if (s.size() < 40)
      for (const Stretch& one : s)
        svg += fmt::format("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.5\" fill=\"{}\"/>\n", px(one.x), py(one.mean),
                           colour);
    svg += fmt::format("<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"end\" style=\"fill:{}\">{} {:.5g}</text>\n",
                       width - right - 4, top + 14 + 15 * static_cast<double>(i), colour, escaped(lines[i].name),
                       s.back().mean);
  }
  return svg + "</svg>\n";
}

}  // namespace

std::string format_report(const Report& r) {
  std::string html =
      fmt::format("<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\n<title>{0}</title>\n"
                  "<meta name=\"viewport\" content=\"width=device-width\">\n<style>{1}</style>\n<h1>{0}</h1>\n",
                  escaped(r.title), style);
  html += "<table>\n";
  for (const auto& [name, value] : r.facts)
    html += fmt::format("<tr><td>{}</td><td>{}</td></tr>\n", escaped(name), escaped(value));
  html += "</table>\n";
  const auto find = [&](const std::string& name) {
    return std::find_if(r.curves.begin(), r.curves.end(), [&](const Curve& c) { return c.name == name; });
  };
  const auto validation = find("validation loss");
  const bool shared = validation != r.curves.end() && find("loss") != r.curves.end();
  for (const Curve& curve : r.curves) {
    if (shared && curve.name == "validation loss") continue;
    std::vector<Line> lines{{curve.name, thinned(curve)}};
    if (shared && curve.name == "loss") lines.push_back({validation->name, thinned(*validation)});
    html += fmt::format("<h2>{}</h2>\n{}", escaped(curve.name), figure(lines));
  }
  if (!r.exhibits.empty()) html += "<h2>samples</h2>\n";
  for (const Report::Exhibit& e : r.exhibits) {
    html += "<figure>\n";
    if (!e.png.empty())
      html += fmt::format("<img alt=\"{}\" src=\"data:image/png;base64,{}\">\n", escaped(e.caption), base64(e.png));
    else
      html += fmt::format("<pre>{}</pre>\n", escaped(e.text));
    html += fmt::format("<figcaption>{}</figcaption></figure>\n", escaped(e.caption));
  }
  return html + "</html>\n";
}

}  // namespace gmc::tool

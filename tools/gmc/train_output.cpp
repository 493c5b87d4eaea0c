#include "tools/gmc/train_output.h"

#include "runtime/base/error.h"
#include "runtime/files/atomic_write.h"
#include "tools/gmc/command.h"

#include <charconv>
#include <filesystem>
#include <sstream>

namespace gmc::tool {
namespace {

constexpr size_t most_exhibits = 24;

std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> out;
  std::istringstream stream(line);
  for (std::string cell; std::getline(stream, cell, ',');) out.push_back(cell);
  return out;
}

void write_text(const std::string& path, const std::string& text) {
  files::write_file_atomically(path, std::as_bytes(std::span(text)));
}

}  // namespace

// The heading, and the rows of steps below `end`.
void TrainOutput::Table::read(const std::string& path, int64_t end) {
  if (!std::filesystem::exists(path)) return;
  std::istringstream lines(read_text(path));
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> words = cells(line);
    if (words.empty()) continue;
    int64_t step = -1;
    if (std::from_chars(words[0].data(), words[0].data() + words[0].size(), step).ec != std::errc()) {
      names.assign(words.begin() + 1, words.end());
      text += line + '\n';
      continue;
    }
    if (step >= end) continue;
    std::vector<double> values;
    for (size_t i = 1; i < words.size(); ++i) {
      double value = 0;
      std::from_chars(words[i].data(), words[i].data() + words[i].size(), value);
      values.push_back(value);
    }
    values.resize(names.size());
    rows.emplace_back(step, std::move(values));
    text += line + '\n';
  }
}

void TrainOutput::Table::add(int64_t step, const Values& values) {
  if (text.empty()) {
    text = "step";
    for (const auto& [name, value] : values) {
      text += "," + name;
      names.push_back(name);
    }
    text += '\n';
  }
  text += fmt::format("{}", step);
  rows.emplace_back(step, std::vector<double>());
  for (const auto& [name, value] : values) {
    text += fmt::format(",{}", static_cast<float>(value));
    rows.back().second.push_back(value);
  }
  rows.back().second.resize(names.size());
  text += '\n';
}

TrainOutput::TrainOutput(const std::string& folder, const std::string& resume, int64_t first, bool events)
    : folder_(folder) {
  std::error_code problem;
  std::filesystem::create_directories(folder, problem);
  if (problem) fail("cannot make the folder '{}': {}", folder, problem.message());
  if (!resume.empty()) {
    const auto beside = std::filesystem::path(resume).parent_path();
    metrics_.read((beside / "metrics.csv").string(), first);
    validation_.read((beside / "validation.csv").string(), first + 1);
  }
  if (events) events_ = std::make_unique<EventFile>(folder);
}

void TrainOutput::metrics(int64_t step, const Values& values) {
  metrics_.add(step, values);
  if (!events_) return;
  Values tagged;
  for (const auto& [name, value] : values) tagged.emplace_back("train/" + name, value);
  events_->scalars(step, tagged);
}

void TrainOutput::validation(int64_t step, const Values& values) {
  if (!validation_.rows.empty() && validation_.rows.back().first == step) return;
  validation_.add(step, values);
  if (!events_) return;
  Values tagged;
  for (const auto& [name, value] : values) tagged.emplace_back("validation/" + name, value);
  events_->scalars(step, tagged);
}

std::string TrainOutput::samples(int64_t step, const std::string& name, const HostTensor& samples, const View& view) {
  const std::string ending = suitable_ending(samples), file = name + ending;
  if (exhibits_.size() == most_exhibits) exhibits_.erase(exhibits_.begin());
  if (ending == ".png") {
    const std::vector<std::byte> png = picture_of(samples, view);
    files::write_file_atomically(folder_ + "/" + file, png);
    if (events_) events_->image(step, "samples", png);
    exhibits_.push_back({fmt::format("after {} steps", step), png, {}});
  } else {
    write_result(folder_ + "/" + file, samples, view);
    if (ending != ".txt") return file;
    const std::string text = text_of(samples, view);
    if (events_) events_->text(step, "samples", text);
    exhibits_.push_back({fmt::format("after {} steps", step), {}, text});
  }
  return file;
}

void TrainOutput::save() {
  write_text(folder_ + "/metrics.csv", metrics_.text);
  if (!validation_.rows.empty()) write_text(folder_ + "/validation.csv", validation_.text);
  if (events_) events_->flush();
}

std::vector<Curve> TrainOutput::curves() const {
  std::vector<Curve> out;
  for (const auto& [table, prefix] : {std::pair(&metrics_, ""), std::pair(&validation_, "validation ")})
    for (size_t i = 0; i < table->names.size(); ++i) {
      Curve curve{prefix + table->names[i], {}};
      for (const auto& [step, values] : table->rows) curve.points.emplace_back(static_cast<double>(step), values[i]);
      out.push_back(std::move(curve));
    }
  return out;
}

void TrainOutput::save_report(const std::string& title, const std::vector<std::pair<std::string, std::string>>& facts) {
  write_text(folder_ + "/report.html", format_report({title, facts, curves(), exhibits_}));
}

}  // namespace gmc::tool

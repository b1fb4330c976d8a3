#include "derive/markup.h"

#include <cstdint>
#include <cstdio>
#include <utility>

#include "core/utf8.h"
#include "derive/formula.h"

namespace gradus {
namespace {

/// GitHub's. Of its two notations for mathematics this is the one in which nothing is taken for Markdown.
class Markdown final : public Markup {
  std::string begin() const override { return {}; }
  std::string end() const override { return {}; }
  std::string heading(int level, const std::string& content) const override {
    return std::string(size_t(level), '#') + ' ' + content + "\n\n";
  }
  std::string paragraph(const std::string& content) const override { return content + "\n\n"; }
  std::string math(const std::string& latex) const override { return "$`" + latex + "`$"; }
  std::string display(const std::string& latex) const override { return "```math\n" + latex + "\n```\n\n"; }

  // Between more backticks than there are in it.
  std::string code(std::string_view text) const override {
    const std::string content = printable(text);
    if (content.empty()) return {};
    std::string fence = "`";
    while (content.find(fence) != content.npos) fence += '`';
    const bool apart = content.front() == '`' || content.back() == '`';
    return apart ? fence + ' ' + content + ' ' + fence : fence + content + fence;
  }

  std::string table(const std::vector<std::vector<std::string>>& rows) const override {
    std::string result;
    for (const auto& row : rows) {
      for (const std::string& cell : row) {
        result += "| ";
        for (const char c : cell) result += c == '|' ? std::string("\\|") : std::string(1, c);
        result += ' ';
      }
      result += "|\n";
      if (&row == &rows.front()) result += "|---:|---|---|---|---|\n";
    }
    return result + '\n';
  }
};

// A character that pdflatex does not know by itself.
std::string command_for(uint32_t character, std::string_view utf8) {
  static constexpr const char* greek[] = {"alpha",     "beta", "gamma", "delta",    "epsilon", "zeta", "eta",
                                          "theta",     "iota", "kappa", "lambda",   "mu",      "nu",   "xi",
                                          "mathit{o}", "pi",   "rho",   "varsigma", "sigma",   "tau",  "upsilon",
                                          "varphi",    "chi",  "psi",   "omega"};
  static constexpr std::pair<uint32_t, const char*> others[] = {
      {0xB2, "{}^{2}"},       {0xB3, "{}^{3}"},       {0xB7, "\\cdot "},
      {0xD7, "\\times "},     {0x393, "\\Gamma "},    {0x394, "\\Delta "},
      {0x398, "\\Theta "},    {0x39B, "\\Lambda "},   {0x3A0, "\\Pi "},
      {0x3A3, "\\Sigma "},    {0x3A6, "\\Phi "},      {0x3A8, "\\Psi "},
      {0x3A9, "\\Omega "},    {0x1D40, "{}^{\\top}"}, {0x2032, "{}^{\\prime}"},
      {0x2202, "\\partial "}, {0x2207, "\\nabla "},   {0x2211, "\\sum "},
      {0x2212, "-"},          {0x221A, "\\surd "},    {0x221E, "\\infty "},
      {0x2260, "\\ne "},      {0x2264, "\\le "},      {0x2265, "\\ge "}};
  std::string math;
  if (character >= 0x3B1 && character <= 0x3C9) math = '\\' + std::string(greek[character - 0x3B1]) + ' ';
  else if (character >= 0x2080 && character <= 0x2089) math = "{}_{" + std::to_string(character - 0x2080) + '}';
  for (const auto& [known, command] : others)
    if (known == character) math = command;
  if (!math.empty()) return "\\ensuremath{" + math + '}';
  if (character >= 0xC0 && character <= 0xFF && (character & 0xDF) != 0xD0 && (character & 0xDF) != 0xDE)
    return "\\text{" + std::string(utf8) + '}';
  char code[16];
  std::snprintf(code, sizeof code, "\\text{U+%04X}", unsigned(character));
  return code;
}

// For pdflatex, which stops at a character for which it has no type.
std::string known_to_latex(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    const Character next = first_character(text);
    const std::string_view utf8 = text.substr(0, next.bytes);
    if (!next.valid) result += '?';
    else if (next.code < 0x80) result += utf8;
    else result += command_for(next.code, utf8);
    text.remove_prefix(next.bytes);
  }
  return result;
}

/// For pdflatex. What is wider than its place is made smaller.
class Latex final : public Markup {
  std::string begin() const override {
    return R"(\documentclass{article}
\usepackage[margin=2.5cm]{geometry}
\usepackage{amsmath, graphicx, longtable}
\newcommand\fit[2]{\sbox0{#2}\ifdim\wd0>#1\resizebox{#1}{!}{\usebox0}\else\usebox0\fi}
\setlength\parindent{0pt}
\setcounter{LTchunksize}{1000}
\sloppy
\begin{document}
)";
  }
  std::string end() const override { return "\\end{document}\n"; }
  std::string heading(int level, const std::string& content) const override {
    static constexpr const char* commands[] = {"section", "subsection", "subsubsection"};
    return std::string("\n\\") + commands[level - 1] + "*{" + content + "}\n";
  }
  std::string paragraph(const std::string& content) const override { return content + "\n\n"; }
  std::string math(const std::string& latex) const override { return "$" + known_to_latex(latex) + "$"; }
  std::string display(const std::string& latex) const override {
    return "\\[\\fit{\\linewidth}{$\\displaystyle " + known_to_latex(latex) + "$}\\]\n";
  }
  std::string code(std::string_view text) const override {
    std::string escaped;
    for (const char c : printable(text)) {
      if (c != 0 && std::string_view("\\{}$&#%_~^").find(c) != std::string_view::npos)
        escaped += "\\char" + std::to_string(int(c)) + "{}";
      else escaped += c;
      if (c == ',' || c == '(') escaped += "\\allowbreak{}";
    }
    return "\\texttt{" + known_to_latex(escaped) + "}";
  }
  std::string table(const std::vector<std::vector<std::string>>& rows) const override {
    static constexpr const char* widths[] = {"0.05", "0.2", "0.4", "0.12", "0.15"};
    std::string result = "\\begin{longtable}{rllll}\n";
    for (const auto& row : rows) {
      for (size_t i = 0; i < row.size(); ++i)
        result += (i ? " & " : "") + ("\\fit{" + std::string(widths[i]) + "\\linewidth}{" + row[i] + "}");
      result += &row == &rows.front() ? " \\\\ \\hline \\endhead\n" : " \\\\\n";
    }
    return result + "\\end{longtable}\n";
  }
};

}  // namespace

const Markup& markdown() {
  static const Markdown language;
  return language;
}

const Markup& latex() {
  static const Latex language;
  return language;
}

}  // namespace gradus

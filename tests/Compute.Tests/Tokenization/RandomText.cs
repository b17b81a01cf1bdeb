using System.Text;

namespace Lamina.Compute.Tests.Tokenization;

/// <summary>Seeded random texts of many kinds: what a tokenizer's rules tell apart, in unusual neighbourhoods.</summary>
internal sealed class RandomText(int seed)
{
    private static readonly string[] Words =
    [
        "the", "The", "and", "hello", "World", "HTTPServer", "iPhone", "don't", "I'LL", "we've", "it's", "they'RE", "O'Reilly's", "naïve", "über", "ÉCOLE", "straße",
        "return", "function", "int", "main()", "=>", "std::vector<int>", "if (x == 0) {", "}\n", "//", "/*", "*/", "<div>", "</div>", "#include", "foo_bar", "camelCase",
        "新しい", "我想在", "北京", "한국어", "сегодня", "Привет", "العربية", "हिन्दी", "ไทย", "ελληνικά", "עברית", "កាន់តែ",
        "😀", "👩‍👩‍👧", "🇩🇪", "🦙", "✅", "①", "½", "Ⅷ", "٣٤", "１２３", "٪", "€", "…", "—", "“", "”", "～", "！", "、", "。", "ﬁ", "ǆ", "ǅ",
    ];

    private static readonly string[] Spaces = [" ", "  ", "   ", "        ", "\t", "\t\t", "\n", "\n\n", "\r\n", "\r", " \n", "\n ", " \n \n ", "\u00A0", "\u3000", "\u2003", "\u0085", "\v", "\f", "\u2028", "\u200B", "\u1680"];

    private static readonly (int First, int Last)[] Blocks =
    [
        (0x00, 0x7F), (0x20, 0x7E), (0x80, 0xFF), (0x100, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x52F), (0x530, 0x8FF), (0x900, 0xDFF), (0xE00, 0x109F),
        (0x10A0, 0x1FFF), (0x2000, 0x206F), (0x2070, 0x2BFF), (0x2C00, 0x2FFF), (0x3000, 0x31FF), (0x3200, 0x4DFF), (0x4E00, 0x9FFF), (0xA000, 0xABFF), (0xAC00, 0xD7FF),
        (0xD800, 0xDFFF), (0xE000, 0xF8FF), (0xF900, 0xFAFF), (0xFB00, 0xFFFF), (0x10000, 0x1FFFF), (0x1F300, 0x1FAFF), (0x20000, 0x3FFFF), (0x40000, 0xDFFFF), (0xE0000, 0x10FFFF),
    ];

    private readonly Random random = new(seed);

    public bool NextBool() => random.Next(2) == 0;

    /// <param name="inserts">Texts to mix in, such as those of added tokens.</param>
    public string Next(IReadOnlyList<string> inserts)
    {
        var text = new StringBuilder();
        int parts = random.Next(1, 24);
        int style = random.Next(8);
        for (int part = 0; part < parts; part++)
        {
            AppendPart(text, inserts, style < 5 ? style : random.Next(7));
        }

        return text.ToString();
    }

    private void AppendPart(StringBuilder text, IReadOnlyList<string> inserts, int style)
    {
        switch (style)
        {
            case 0:
                text.Append(Pick(Words)).Append(Pick(Spaces));
                break;
            case 1:
                text.Append(Pick(Words));
                break;
            case 2:
                AppendBlock(text, Blocks[random.Next(Blocks.Length)]);
                break;
            case 3:
                AppendBlock(text, (0x20, 0x7E));
                break;
            case 4:
                text.Append(Pick(Spaces));
                text.Append(random.Next(4) == 0 ? Pick(Words) : "");
                break;
            case 5:
                text.Append(random.NextInt64(1L << random.Next(1, 62)));
                break;
            default:
                text.Append(inserts.Count > 0 ? inserts[random.Next(inserts.Count)] : Pick(Words));
                break;
        }
    }

    private void AppendBlock(StringBuilder text, (int First, int Last) block)
    {
        for (int count = random.Next(1, 10); count > 0; count--)
        {
            int codePoint = random.Next(block.First, block.Last + 1);
            if (codePoint < 0x10000)
            {
                text.Append((char)codePoint);
            }
            else
            {
                text.Append(char.ConvertFromUtf32(codePoint));
            }
        }
    }

    private string Pick(string[] from) => from[random.Next(from.Length)];
}

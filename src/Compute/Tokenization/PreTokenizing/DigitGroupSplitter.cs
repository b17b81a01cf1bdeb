namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>
/// Cuts runs of digits into groups of three counted from their end, as one writes thousands. What stands before a run is one piece with its first group, as in llama.cpp.
/// </summary>
internal sealed class DigitGroupSplitter : Splitter
{
    public override int Next(ReadOnlySpan<byte> text, int start)
    {
        int digits = SkipRun(text, start, ~CharClass.Number);
        if (digits == text.Length)
        {
            return digits;
        }

        // Only a run's first group may be shorter, so the run is counted once.
        int count = digits == start && FollowsDigit(text, start) ? 3 : FirstGroup(text, digits);
        int end = digits;
        for (; count > 0; count--)
        {
            CharClasses.At(text, end, out int length);
            end += length;
        }

        return end;
    }

    private static bool FollowsDigit(ReadOnlySpan<byte> text, int start)
    {
        int previous = start - 1;
        while (previous > 0 && (text[previous] & 0xC0) == 0x80)
        {
            previous--;
        }

        return previous >= 0 && CharClasses.At(text, previous, out _) == CharClass.Number;
    }

    private static int FirstGroup(ReadOnlySpan<byte> text, int start)
    {
        int digits = 0;
        for (int position = start; CharClasses.At(text, position, out int length) == CharClass.Number; position += length)
        {
            digits++;
        }

        return digits % 3 == 0 ? 3 : digits % 3;
    }
}

namespace Lamina.Compute.Tokenization.PreTokenizing;

/// <summary>Cuts runs of digits into groups of three counted from their end, as one writes thousands.</summary>
internal sealed class DigitGroupSplitter : Splitter
{
    public override int Next(ReadOnlySpan<byte> text, int start)
    {
        if (CharClasses.At(text, start, out _) != CharClass.Number)
        {
            return SkipRun(text, start, ~CharClass.Number);
        }

        // Only a run's first group may be shorter, so the run is counted once.
        int first = FollowsDigit(text, start) ? 3 : FirstGroup(text, start);
        int end = start;
        for (int digit = 0; digit < first; digit++)
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

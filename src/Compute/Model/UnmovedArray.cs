namespace Lamina.Compute.Model;

/// <summary>Arrays for the tokens of prompts and answers. The garbage collector does not move them, so that one that is cleared leaves no older copy of what it held.</summary>
public static class UnmovedArray
{
    public static T[] New<T>(int length)
        where T : unmanaged => length == 0 ? [] : GC.AllocateArray<T>(length, pinned: true);

    public static T[] Of<T>(ReadOnlySpan<T> values)
        where T : unmanaged
    {
        T[] copy = New<T>(values.Length);
        values.CopyTo(copy);
        return copy;
    }
}

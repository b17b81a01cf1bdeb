namespace Lamina.Compute.Tokenization;

/// <summary>
/// Working memory for one text, cleared when done with. Not from the process' shared pools: those hand whatever a text left in an array to whoever rents it next, and
/// texts of several tenants pass through one process.
/// </summary>
internal static class Scratch
{
    public static T[] Take<T>(int length) => new T[length];

    public static void Clear<T>(T[] array) => Array.Clear(array);
}

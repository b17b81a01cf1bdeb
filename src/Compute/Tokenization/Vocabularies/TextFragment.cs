namespace Lamina.Compute.Tokenization.Vocabularies;

/// <summary>A part of a text: bytes [<paramref name="Start"/>, <paramref name="End"/>), ordinary text or the place of an added token.</summary>
/// <param name="Token">Id of the added token, or -1 for text.</param>
internal readonly record struct TextFragment(int Start, int End, int Token);

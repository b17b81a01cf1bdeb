using Lamina.Compute.Tokenization;

namespace Lamina.Compute.Templates;

/// <summary>Texts of the tokens around a conversation, empty where the model has none, and whether the tokenizer adds them to every text.</summary>
public sealed record ChatTokens(string Bos, string Eos, bool AddsBos, bool AddsEos)
{
    public static ChatTokens Of(Tokenizer tokenizer) => new(
        tokenizer.Bos is int bos ? tokenizer.Decode([bos], special: true) : "",
        tokenizer.Eos is int eos ? tokenizer.Decode([eos], special: true) : "",
        tokenizer.AddBos, tokenizer.AddEos);
}

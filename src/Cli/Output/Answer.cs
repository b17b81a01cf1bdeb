using System.Diagnostics;
using Lamina.Cluster.Messages;
using Lamina.Compute.Tokenization;

namespace Lamina.Cli.Output;

/// <summary>Collects one generation's tokens with the times of the first and last, and shows the text as it comes when asked to.</summary>
internal sealed class Answer(Tokenizer tokenizer, bool echo)
{
    private readonly IncrementalDetokenizer _detokenizer = new(tokenizer);
    private readonly System.Text.StringBuilder _text = new();
    private readonly Lock _gate = new();

    public List<int> Tokens { get; } = [];

    /// <summary>Per token the most likely candidates, best first.</summary>
    public List<(int Id, float LogProb)[]> TopLogProbs { get; } = [];

    public string Text => _text.ToString();
    public long FirstTokenAt { get; private set; }
    public long LastTokenAt { get; private set; }

    public void Add(GenerationProtocol.TokensGenerated generated)
    {
        lock (_gate)
        {
            LastTokenAt = Stopwatch.GetTimestamp();
            FirstTokenAt = FirstTokenAt == 0 ? LastTokenAt : FirstTokenAt;
            int top = generated.Tokens.Length == 0 ? 0 : generated.TopIds.Length / generated.Tokens.Length;
            for (int i = 0; i < generated.Tokens.Length; i++)
            {
                Tokens.Add(generated.Tokens[i]);
                Show(_detokenizer.Append(generated.Tokens[i]));
                TopLogProbs.Add([.. Enumerable.Range(i * top, top).Select(at => (generated.TopIds[at], generated.TopLogProbs[at]))]);
            }
        }
    }

    public void Finish()
    {
        lock (_gate)
        {
            Show(_detokenizer.Flush());
        }
    }

    private void Show(string piece)
    {
        _text.Append(piece);
        if (echo)
        {
            Console.Out.Write(piece);
            Console.Out.Flush();
        }
    }
}

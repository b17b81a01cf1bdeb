using System.Buffers;
using System.Runtime.InteropServices;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;

namespace Lamina.Node.Stages;

/// <summary>Tokens and ends waiting to be sent, in order. Filled without allocation once warm; consecutive tokens of one generation leave as one event.</summary>
internal sealed class TokenOutbox
{
    private readonly List<Item> _items = [];
    private readonly List<TokenLogProb> _top = [];
    private readonly List<Item> _run = [];
    private readonly ArrayBufferWriter<byte> _payload = new(1024);

    public int Count => _items.Count;

    public void Add(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top)
    {
        _items.Add(new Item(generation, index, token, logProb, _top.Count, top.Length, null));
        _top.AddRange(top);
    }

    public void Add(GenerationProtocol.TextEmbedded embedded) => _items.Add(new Item(embedded.Generation, 0, 0, 0, 0, 0, null) { Embedded = embedded });

    public void Add(GenerationProtocol.GenerationEnded ended) => _items.Add(new Item(ended.Generation, 0, 0, 0, 0, 0, ended));

    public void Clear()
    {
        _items.Clear();
        CollectionsMarshal.AsSpan(_top).Clear();
        _top.Clear();
        _payload.Clear();
    }

    /// <summary>Sends and forgets everything. Throws <see cref="LinkClosedException"/>.</summary>
    public void SendTo(Link link, int epoch)
    {
        for (int i = 0; i < _items.Count; i++)
        {
            Item item = _items[i];
            if (item.Sent)
            {
                continue;
            }

            if (item.Ended is { } ended)
            {
                Send(link, epoch, FrameKind.GenerationEnded, ended);
                continue;
            }

            if (item.Embedded is { } embedded)
            {
                Send(link, epoch, FrameKind.TextEmbedded, embedded);
                continue;
            }

            // A slow link gathers several steps: each generation's tokens up to its end go together, which keeps their order.
            _run.Clear();
            for (int k = i; k < _items.Count; k++)
            {
                Item later = _items[k];
                if (!later.Sent && later.Ended is null && later.Embedded is null && later.Generation == item.Generation)
                {
                    _run.Add(later);
                    _items[k] = later with { Sent = true };
                }
            }

            Send(link, epoch, FrameKind.TokensGenerated, Event(_run));
        }

        Clear();
    }

    private GenerationProtocol.TokensGenerated Event(List<Item> run)
    {
        int top = run.Sum(item => item.TopCount);
        var tokens = new int[run.Count];
        float[] logProbs = float.IsNaN(run[0].LogProb) ? [] : new float[run.Count];
        int[] topIds = top == 0 ? [] : new int[top];
        float[] topLogProbs = top == 0 ? [] : new float[top];
        int next = 0;
        for (int i = 0; i < tokens.Length; i++)
        {
            tokens[i] = run[i].Token;
            if (logProbs.Length > 0)
            {
                logProbs[i] = run[i].LogProb;
            }

            for (int k = 0; k < run[i].TopCount; k++)
            {
                (topIds[next], topLogProbs[next++]) = (_top[run[i].FirstTop + k].Id, _top[run[i].FirstTop + k].LogProb);
            }
        }

        return new GenerationProtocol.TokensGenerated(run[0].Generation, run[0].Index, tokens, logProbs, topIds, topLogProbs);
    }

    private void Send<T>(Link link, int epoch, FrameKind kind, T message)
    {
        _payload.ResetWrittenCount();
        Wire.Encode(_payload, message);
        link.Send(kind, epoch, 0, _payload.WrittenSpan);
    }

    private readonly record struct Item(GenerationId Generation, int Index, int Token, float LogProb, int FirstTop, int TopCount, GenerationProtocol.GenerationEnded? Ended)
    {
        public bool Sent { get; init; }
        public GenerationProtocol.TextEmbedded? Embedded { get; init; }
    }
}

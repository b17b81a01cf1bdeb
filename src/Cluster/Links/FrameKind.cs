namespace Lamina.Cluster.Links;

/// <summary>Kinds of frames on a link. Numbers are frozen: they go over the wire.</summary>
public enum FrameKind : byte
{
    Hello = 1, HelloAccepted = 2, HelloRefused = 3, Ping = 4, Pong = 5, Credit = 6, Close = 7,

    /// <summary>A micro-batch: rows and cache operations (stage to stage).</summary>
    Step = 16,

    /// <summary>Tokens sampled in a step (tail to head).</summary>
    Sampled = 17,

    Submit = 32, Cancel = 33, TokensGenerated = 34, GenerationEnded = 35, HeadLoad = 36, TextEmbedded = 37, Allow = 38,

    BlobRequest = 48, BlobChunk = 49, BlobRefused = 50,

    KeepAnswer = 64, AnswerKept = 65, AnswerProgress = 66, AnswerReleased = 67, ReadAnswer = 68, AnswerEvent = 69, AnswerOver = 70, CancelAnswer = 71,
}

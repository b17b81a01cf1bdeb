namespace Lamina.Compute.Templates;

/// <summary>A template that cannot be parsed or rendered; the message is for the person who caused it.</summary>
public sealed class TemplateException(string message) : Exception(message);

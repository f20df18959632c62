using System.Numerics;

namespace Koala.Lab.Text.Chat;

/// <summary>How much of the machine a template may take for a chat. Longer chats get more.</summary>
/// <param name="Messages">The number of messages.</param>
/// <param name="Length">The number of characters of all messages.</param>
internal readonly record struct TemplateRoom(int Messages, long Length)
{
    // A message of 500 characters takes the longest templates about 0.5 MiB and 5 ms.
    private const long BaseMemory = 48L << 20, MemoryPerMessage = 1L << 20, MemoryPerCharacter = 256;
    private const double BaseSeconds = 2, SecondsPerMessage = 0.02, SecondsPerCharacter = 1e-6;

    /// <summary>The room for a chat.</summary>
    public static TemplateRoom For(IReadOnlyList<Message> messages) =>
        new(messages.Count, messages.Sum(message => (long)message.Role.Length + message.Content.Length));

    /// <summary>The bytes that one rendering may allocate in total. Most of them are free again before its end.</summary>
    public long Memory => BaseMemory + MemoryPerMessage * Messages + MemoryPerCharacter * Length;

    /// <summary>The processor time that one rendering may take.</summary>
    public TimeSpan Time => TimeSpan.FromSeconds(BaseSeconds + SecondsPerMessage * Messages + SecondsPerCharacter * Length);

    /// <summary>Whether there is enough of it for a chat.</summary>
    public bool Holds(TemplateRoom chat) => chat.Messages <= Messages && chat.Length <= Length;

    /// <summary>The smallest room with powers of two that holds a chat, so that few different rooms are needed.</summary>
    public TemplateRoom RoundUp() =>
        new((int)BitOperations.RoundUpToPowerOf2((uint)Messages), (long)BitOperations.RoundUpToPowerOf2((ulong)Length));
}
